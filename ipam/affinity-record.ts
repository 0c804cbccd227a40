// This node's BlockAffinity objects in the store: brought to a state, or removed, whatever was left there before.

import type { Prefix } from '#net';
import { type AffinityEvent, type BlockAffinity, newAffinity, stepAffinity } from './affinity.ts';
import type { IpamContext } from './context.ts';
import { affinityName } from './names.ts';
import { retrying } from './retry.ts';
import type { Revisioned } from './store.ts';

/** Announces a claim: afterwards the affinity exists and is pending. */
export async function announceClaim(context: IpamContext, cidr: Prefix, signal: AbortSignal): Promise<void> {
  const { affinities } = context.store;
  const name = affinityName(context.node, cidr);
  const attempt = { what: `announce the claim of block ${cidr}`, signal };
  await retrying(context, attempt, async (isFirst) => {
    const stored = isFirst ? undefined : await readAffinity(context, cidr, signal);
    if (stored === undefined) {
      await affinities.create(name, newAffinity(context.node, cidr), { signal });
      return;
    }
    await write(context, stored, { event: 'claim', signal });
  });
}

/** Takes the affinity one step further; false when it is absent or its state has no such step. */
export async function advanceAffinity(
  context: IpamContext,
  cidr: Prefix,
  step: { readonly event: AffinityEvent; readonly signal: AbortSignal },
): Promise<boolean> {
  const attempt = { what: `${step.event} of the affinity to block ${cidr}`, signal: step.signal };
  return await retrying(context, attempt, async () => {
    const stored = await readAffinity(context, cidr, step.signal);
    return stored !== undefined && (await write(context, stored, step));
  });
}

/** Removes this node's affinity to a block; absent is fine. */
export async function removeAffinity(context: IpamContext, cidr: Prefix, signal: AbortSignal): Promise<void> {
  const name = affinityName(context.node, cidr);
  await retrying(context, { what: `remove the affinity to block ${cidr}`, signal }, async () => {
    const stored = await context.store.affinities.get(name, { signal });
    if (stored !== undefined) {
      await context.store.affinities.remove(name, stored.revision, { signal });
    }
  });
}

/** This node's affinity to a block, or undefined; one that another program soft-deleted is removed for good. */
export async function readAffinity(
  context: IpamContext,
  cidr: Prefix,
  signal: AbortSignal,
): Promise<Revisioned<BlockAffinity> | undefined> {
  const name = affinityName(context.node, cidr);
  const stored = await context.store.affinities.get(name, { signal });
  if (stored?.value.deleted === true) {
    await context.store.affinities.remove(name, stored.revision, { signal });
    return undefined;
  }
  return stored;
}

async function write(
  context: IpamContext,
  stored: Revisioned<BlockAffinity>,
  { event, signal }: { readonly event: AffinityEvent; readonly signal: AbortSignal },
): Promise<boolean> {
  const next = stepAffinity(stored.value, event);
  if (next !== undefined && next !== stored.value) {
    const name = affinityName(context.node, stored.value.cidr);
    await context.store.affinities.update(name, next, stored.revision, { signal });
  }
  return next !== undefined;
}
