/** Hands the mixed sound on to the worker, in blocks of a hundredth of a second. Runs on the thread of the sound. */

interface Processor {
  readonly port: MessagePort;
}
declare const AudioWorkletProcessor: new () => Processor;
declare function registerProcessor(name: string, processor: new () => Processor): void;

const blockSize = 512;

class Tap extends AudioWorkletProcessor {
  #out: MessagePort | null = null;
  #left = new Float32Array(blockSize);
  #right = new Float32Array(blockSize);
  #filled = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<MessagePort>) => (this.#out = data);
  }

  process(inputs: readonly (readonly Float32Array[])[]): boolean {
    const left = inputs[0]?.[0];
    const right = inputs[0]?.[1] ?? left;
    // Nothing connected is silence, which counts as well: the sound must not stand still.
    for (let n = 0; n < (left?.length ?? 128); n += 1) {
      this.#left[this.#filled] = left?.[n] ?? 0;
      this.#right[this.#filled] = right?.[n] ?? 0;
      this.#filled += 1;
      if (this.#filled < blockSize) continue;
      this.#out?.postMessage([this.#left, this.#right], [this.#left.buffer, this.#right.buffer]);
      this.#left = new Float32Array(blockSize);
      this.#right = new Float32Array(blockSize);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor('extrachain-tap', Tap);
