// The BGP speaker in its thread, as one part: options from who we are, and the way it ends.
//
// SIGTERM ends it without a word, so that peers keep our routes for the restart time (RFC 4724); a drain withdraws and says
// Cease. Its death is the agent's: the supervisor starts both anew, and the kernel forwards meanwhile.
import { SpeakerError, type Speaker, type SpeakerConfig } from '#bgp';
import { startSpeakerThread } from '#speaker';
import { AgentFault, exitCodes } from './exit.ts';
import { addressList, type Identity } from './identity.ts';
import type { Life } from './life.ts';
import type { Tools } from './tools.ts';

/** Starts it; rejects with AgentFault 71 when the port is taken. `restarting`: our routes survived in the kernel. */
export async function startSpeaker(
  tools: Tools,
  life: Life,
  who: { identity: Identity; restarting: boolean },
): Promise<Speaker> {
  const config = speakerConfig(who.identity, who.restarting, tools.settings.restartTimeMs);
  const speaker = await startSpeakerThread(config, tools.log.child('bgp'));
  life.onStop('speaker', async () => {
    const { kind } = await life.ended();
    await speaker.stop(kind === 'drain' ? 'shutdown' : 'restart');
  });
  speaker.onFatal((error) => life.end({ kind: 'fault', error }));
  speaker.onPeerChange(tools.changed);
  await orTaken(() => speaker.start());
  return speaker;
}

function speakerConfig(identity: Identity, restarting: boolean, restartTimeMs: number): SpeakerConfig {
  const addresses = addressList(identity.addresses);
  return {
    as: identity.as,
    routerId: identity.routerId,
    listen: addresses.map((address) => ({ address, port: identity.listenPort })),
    gracefulRestart: { restartTimeSec: Math.ceil(restartTimeMs / 1000), restarting },
    addresses,
  };
}

async function orTaken<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof SpeakerError)) throw error;
    const hint = 'if another BGP daemon holds it, stop that one or set listenPort of the BGPConfiguration';
    throw new AgentFault(exitCodes.system, `${error.message}; ${hint}`, { cause: error });
  }
}
