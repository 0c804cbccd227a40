import { createMemoryStore } from './memory-store.ts';
import { storeContract } from '../../ipam/store.contract.ts';

storeContract('memory', () => createMemoryStore());
