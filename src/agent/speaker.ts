// The BGP speaker in its thread, as one part: options from who we are, and the way it ends.
//
// SIGTERM ends it without a word, so that peers keep our routes for the restart time (RFC 4724); a drain withdraws and says
// Cease. Its death is the agent's: the supervisor starts both anew, and the kernel forwards meanwhile.
import { SpeakerError, type Speaker, type SpeakerConfig } from '#bgp';
import { startSpeakerThread } from '#speaker';
import { exitCodes, ProgramFault } from '#program';
import { setTimeout as delay } from 'node:timers/promises';
import { addressList, type Identity } from './identity.ts';
import type { AgentLife, Tools } from './tools.ts';

/** Starts it; rejects with ProgramFault 71 when the port is taken. `restarting`: our routes survived in the kernel. */
export async function startSpeaker(
  tools: Tools,
  life: AgentLife,
  who: { identity: Identity; restarting: boolean },
): Promise<Speaker> {
  const config = speakerConfig(who.identity, who.restarting, tools.settings.restartTimeMs);
  const speaker = await startWhenAddressed(tools, config);
  life.onStop('speaker', async () => {
    const { kind } = await life.ended();
    await speaker.stop(kind === 'drain' ? 'shutdown' : 'restart');
  });
  speaker.onFatal((error) => life.end({ kind: 'fault', error }));
  speaker.onPeerChange(tools.changed);
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

/** An IPv6 address that was just added cannot be listened on for a second or two (duplicate address detection). */
const addressWaitMs = 5000;
const addressPollMs = 250;

async function startWhenAddressed({ timers, log }: Tools, config: SpeakerConfig): Promise<Speaker> {
  const untilMs = timers.now() + addressWaitMs;
  for (;;) {
    const speaker = await startSpeakerThread(config, log.child('bgp'));
    try {
      await speaker.start();
      return speaker;
    } catch (error) {
      await speaker.stop('restart');
      if (!(error instanceof SpeakerError)) throw error;
      if (error.code !== 'LISTEN_ADDRESS' || timers.now() >= untilMs) throw toFault(error);
    }
    await delay(addressPollMs);
  }
}

function toFault(error: SpeakerError): ProgramFault {
  const hint = 'if another BGP daemon holds it, stop that one or set listenPort of the BGPConfiguration';
  const message = error.code === 'LISTEN_TAKEN' ? `${error.message}; ${hint}` : error.message;
  return new ProgramFault(exitCodes.system, message, { cause: error });
}
