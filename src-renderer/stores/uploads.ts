import { useEventListener } from '@vueuse/core';
import { defineStore } from 'pinia';
import { computed, markRaw, reactive, ref, shallowRef, watch } from 'vue';
import type { UnfinishedUpload } from '../../src-shared/contract/index.ts';
import { AppError } from '../../src-shared/errors.ts';
import { useLink } from '../rpc/node-link.ts';
import { differenceOf, giveUpUpload, resumable, sendFile, uploaded } from '../rpc/send-file.ts';
import { useNode } from './node.ts';

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
/** How often the node is told that a paused upload is still wanted, ms; it would give it up after a day. */
const stillWanted = 3_600_000;
/** An upload that another window sends looks unfinished between two parts; asked once more after this, ms. */
const lookAgain = 4000;

/**
 * Files on their way from the window into a drive's folder. The node has each whole or not at all; what is paused or
 * broke off goes on where it was. A closing window asks first; what arrived of large files then waits in the node for
 * whoever chooses the same file again.
 */
export const useUploads = defineStore('uploads', () => {
  const link = useLink();
  const node = useNode();
  /** Begun in a window that was closed. */
  const unfinished = shallowRef<readonly UnfinishedUpload[]>([]);
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

  async function look(): Promise<void> {
    try {
      const found = await link.call((client) => client.files.uploads());
      const own = new Set(jobs.value.map(({ url }) => url));
      unfinished.value = found.filter(({ url, sending }) => !sending && !own.has(url));
    } catch {
      // Asked again with the next look.
    }
  }

  /**
   * Goes on with what a closed window began.
   * @returns why it can't: the file is another one
   */
  async function goOn(one: UnfinishedUpload, file: File): Promise<'size' | 'content' | null> {
    const difference = await differenceOf(one, file);
    if (difference === null) add(one.drive, [{ path: one.path, file }]);
    return difference;
  }
  function discard(one: UnfinishedUpload): void {
    giveUpUpload(one.url);
    unfinished.value = unfinished.value.filter(({ url }) => url !== one.url);
  }
  /** Where the rest of this file goes, if the beginning of it is in the node already. */
  async function begun(job: Job): Promise<string | null> {
    const one = unfinished.value.find(({ drive, path }) => drive === job.drive && path === job.path);
    if (!one || (await differenceOf(one, job.file)) !== null) return null;
    unfinished.value = unfinished.value.filter(({ url }) => url !== one.url);
    return one.url;
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
      job.url ??= await begun(job);
      // Null: given up meanwhile, so that it begins anew.
      const here = job.url === null ? null : await uploaded(job.url);
      job.done = here ?? 0;
      if (here === null) {
        const { drive, path, size, replace } = job;
        const modified = new Date(job.file.lastModified).toISOString();
        const wish = { drive, path, size, replace, modified };
        job.url = (await link.call((client) => client.files.upload(wish))).url;
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
  // Of small files nothing is kept, so they need not lie in the node's temporary folder.
  useEventListener(window, 'pagehide', () => {
    for (const { url, file } of active.value) if (url !== null && !resumable(file)) giveUpUpload(url);
  });
  watch(
    () => node.ready,
    (ready) => {
      if (!ready) return;
      void look();
      setTimeout(() => void look(), lookAgain);
    },
    { immediate: true },
  );
  useEventListener(window, 'focus', () => node.ready && void look());
  return { jobs, active, failed, unfinished, progress, add, goOn, discard, pause, resume, cancel, retry };
});
