import { useEventListener } from '@vueuse/core';
import { defineStore } from 'pinia';
import { computed, markRaw, reactive, ref } from 'vue';
import { AppError } from '../../src-shared/errors.ts';
import { useLink } from '../rpc/node-link.ts';
import { giveUpUpload, sendFile, uploaded } from '../rpc/send-file.ts';

export interface Upload {
  readonly id: number;
  readonly drive: string;
  readonly path: string;
  readonly size: number;
  /** Bytes sent. */
  done: number;
  /** Bytes a second. */
  rate: number;
  state: 'waiting' | 'sending' | 'paused' | 'done' | 'failed';
  error: AppError | null;
}

interface Job extends Upload {
  readonly file: File;
  replace: boolean;
  /** Where it goes, once asked for; the node keeps what it has under it for some minutes. */
  url: string | null;
  stop: AbortController | null;
}

const atOnce = 3;
/** How often numbers on screen change, ms. */
const progressEvery = 250;
/** How often the node is told that a paused upload is still wanted, ms; it would give it up after five minutes. */
const stillWanted = 60_000;

/**
 * Files on their way from the window into a drive's folder. The node has each whole or not at all; what is paused or
 * broke off goes on where it was. Closing the window gives up what is under way, after asking.
 */
export const useUploads = defineStore('uploads', () => {
  const link = useLink();
  const jobs = ref<Job[]>([]);
  let nextId = 0;
  const open = new Set<Upload['state']>(['sending', 'waiting', 'paused']);
  const active = computed(() => jobs.value.filter((job) => open.has(job.state)));
  const failed = computed(() => jobs.value.filter((job) => job.state === 'failed'));
  const progress = computed(() => ({
    done: jobs.value.reduce((sum, job) => sum + job.done, 0),
    total: jobs.value.reduce((sum, job) => sum + job.size, 0),
    rate: active.value.reduce((sum, job) => sum + job.rate, 0),
  }));

  function add(drive: string, files: readonly { readonly path: string; readonly file: File }[]): void {
    if (active.value.length === 0) jobs.value = failed.value;
    for (const { path, file } of files) {
      jobs.value.push(
        reactive({
          id: nextId++,
          drive,
          path,
          size: file.size,
          done: 0,
          rate: 0,
          state: 'waiting' as const,
          error: null,
          file: markRaw(file),
          replace: false,
          url: null,
          stop: null,
        }),
      );
    }
    pump();
  }

  function pump(): void {
    const sending = jobs.value.filter((job) => job.state === 'sending').length;
    for (const job of jobs.value.filter((one) => one.state === 'waiting').slice(0, atOnce - sending))
      void run(job);
  }

  /** Shows how far it is, not more often than people can read. */
  function meter(job: Job) {
    const started = performance.now();
    const from = job.done;
    let shown = 0;
    return (done: number) => {
      const now = performance.now();
      if (now - shown < progressEvery && done < job.size) return;
      shown = now;
      job.done = done;
      job.rate = (done - from) / Math.max(0.25, (now - started) / 1000);
    };
  }

  async function run(job: Job): Promise<void> {
    const stop = markRaw(new AbortController());
    job.state = 'sending';
    job.stop = stop;
    job.error = null;
    try {
      // Null: given up meanwhile, so that it begins anew.
      const here = job.url === null ? null : await uploaded(job.url);
      job.done = here ?? 0;
      if (here === null) {
        const { drive, path, size, replace } = job;
        job.url = (await link.call((client) => client.files.upload({ drive, path, size, replace }))).url;
      }
      await sendFile({
        url: job.url as string,
        file: job.file,
        from: job.done,
        onProgress: meter(job),
        signal: stop.signal,
      });
      job.state = 'done';
      job.done = job.size;
      job.url = null;
    } catch (error) {
      // Paused and cancelled say so themselves.
      if (!stop.signal.aborted) {
        job.state = 'failed';
        job.error =
          error instanceof AppError
            ? error
            : new AppError('unreachable', 'The connection broke while this file was being sent.');
        if (job.error.code !== 'unreachable') job.url = null;
      }
    }
    job.stop = null;
    job.rate = 0;
    pump();
  }

  const find = (id: number) => jobs.value.find((one) => one.id === id);

  function pause(id: number): void {
    const job = find(id);
    if (!job || (job.state !== 'sending' && job.state !== 'waiting')) return;
    job.state = 'paused';
    job.rate = 0;
    job.stop?.abort();
    pump();
  }
  function resume(id: number): void {
    const job = find(id);
    if (job?.state !== 'paused') return;
    job.state = 'waiting';
    pump();
  }
  function cancel(id: number): void {
    const job = find(id);
    if (!job) return;
    job.state = 'done';
    job.stop?.abort();
    if (job.url !== null) giveUpUpload(job.url);
    jobs.value = jobs.value.filter((one) => one.id !== id);
    pump();
  }
  function retry(id: number, replace = false): void {
    const job = find(id);
    if (!job) return;
    job.replace = replace;
    job.state = 'waiting';
    pump();
  }

  setInterval(() => {
    for (const { state, url } of jobs.value)
      if (state === 'paused' && url !== null) void uploaded(url).catch(() => {});
  }, stillWanted);
  useEventListener(window, 'beforeunload', (event: BeforeUnloadEvent) => {
    if (active.value.length > 0) event.preventDefault();
  });
  // What is not whole would lie in the node's temporary folder until it gave it up by itself.
  useEventListener(window, 'pagehide', () => {
    for (const { url } of active.value) if (url !== null) giveUpUpload(url);
  });
  return { jobs, active, failed, progress, add, pause, resume, cancel, retry };
});
