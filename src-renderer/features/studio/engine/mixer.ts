import tapUrl from './tap-worklet.ts?worker&url';

/** Loudness of one channel in dB below full scale; -100 is silence. */
export interface Level {
  readonly now: number;
  /** Highest of the last seconds. */
  readonly peak: number;
}

export interface Mixer {
  /** Starts the sound; needs a click of the person before, as browsers have it. */
  start(): Promise<void>;
  readonly context: AudioContext;
  add(id: string, node: AudioNode, volume: number): void;
  remove(id: string): void;
  /** 0 to 1.5 of the original. */
  setVolume(id: string, volume: number): void;
  level(id: string): Level;
  /** Where the mixed sound is handed out, for the worker. */
  readonly out: MessagePort;
  close(): Promise<void>;
}

const quiet = -100;
const peakHold = 1500;

/** Mixes microphones and other sound to two channels of 48 kHz. */
export function createMixer(): Mixer {
  const context = new AudioContext({ sampleRate: 48_000, latencyHint: 'interactive' });
  const master = new GainNode(context);
  const { port1, port2 } = new MessageChannel();
  const channels = new Map<
    string,
    { source: AudioNode; gain: GainNode; meter: AnalyserNode; peak: number; peakAt: number }
  >();
  const samples = new Float32Array(1024);
  let started: Promise<void> | null = null;

  async function start(): Promise<void> {
    await context.audioWorklet.addModule(tapUrl);
    const tap = new AudioWorkletNode(context, 'extrachain-tap', {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      outputChannelCount: [2],
      channelCount: 2,
      channelCountMode: 'explicit',
    });
    tap.port.postMessage(port1, [port1]);
    // It writes nothing into its output, so nobody hears themselves; connected, it runs.
    master.connect(tap).connect(context.destination);
    await context.resume();
  }

  return {
    start: () => (started ??= start()),
    context,
    out: port2,
    add(id, source, volume) {
      this.remove(id);
      const gain = new GainNode(context, { gain: volume });
      const meter = new AnalyserNode(context, { fftSize: 1024 });
      source.connect(gain).connect(meter).connect(master);
      channels.set(id, { source, gain, meter, peak: quiet, peakAt: 0 });
    },
    remove(id) {
      const channel = channels.get(id);
      if (!channel) return;
      channel.source.disconnect();
      channel.gain.disconnect();
      channel.meter.disconnect();
      channels.delete(id);
    },
    setVolume(id, volume) {
      channels.get(id)?.gain.gain.setTargetAtTime(volume, context.currentTime, 0.02);
    },
    level(id) {
      const channel = channels.get(id);
      if (!channel) return { now: quiet, peak: quiet };
      channel.meter.getFloatTimeDomainData(samples);
      let most = 0;
      for (const sample of samples) most = Math.max(most, Math.abs(sample));
      const now = most < 1e-5 ? quiet : 20 * Math.log10(most);
      const time = performance.now();
      if (now >= channel.peak || time - channel.peakAt > peakHold) {
        channel.peak = now;
        channel.peakAt = time;
      }
      return { now, peak: channel.peak };
    },
    async close() {
      port2.close();
      await context.close();
    },
  };
}
