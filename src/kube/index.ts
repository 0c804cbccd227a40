/**
 * The public face of the Kubernetes adapter. The CEL validator is loaded only when asked for: it costs 28 MiB and 150 ms to
 * import, and agents do not need it.
 */
import type { CelValidator } from './cel.ts';
import type { CelSchema } from './cel-schema.ts';

export type { CelValidator, CelViolation } from './cel.ts';
export type { CelRule, CelSchema } from './cel-schema.ts';

/** Compiles every x-kubernetes-validations rule of `schema`; rejects with CelRuleError for one that does not compile. */
export async function createCelValidator(schema: CelSchema): Promise<CelValidator> {
  const cel = await import('./cel.ts');
  return cel.createCelValidator(schema);
}
