import { defineStore } from 'pinia';
import { computed, markRaw, reactive, ref } from 'vue';
import { AppError, errorCodes } from '../../src-shared/errors.ts';
import type { ErrorCode } from '../../src-shared/errors.ts';
import { useLink } from '../rpc/node-link.ts';

export interface Upload {
  readonly id: number;
  readonly drive: string;
  readonly path: string;
  readonly size: number;
  /** Bytes sent. */
  done: number;
  /** Bytes a second. */
  rate: number;
  state: 'waiting' | 'sending' | 'done' | 'failed';
  error: AppError | null;
}

interface Job extends Upload {
  readonly file: File;
  replace: boolean;
  request: XMLHttpRequest | null;
}

const atOnce = 3;

/** Files on their way from the browser into a drive's folder. The node has each whole or not at all. */
export const useUploads = defineStore('uploads', () => {
  const link = useLink();
  const jobs = ref<Job[]>([]);
  let nextId = 0;
  const active = computed(() =>
    jobs.value.filter((job) => job.state === 'sending' || job.state === 'waiting'),
  );
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
          request: null,
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

  async function run(job: Job): Promise<void> {
    job.state = 'sending';
    job.error = null;
    job.done = 0;
    try {
      const { drive, path, size, replace } = job;
      const { url } = await link.call((client) => client.files.upload({ drive, path, size, replace }));
      await send(url, job);
      job.state = 'done';
      job.done = job.size;
    } catch (error) {
      job.state = 'failed';
      job.error = error instanceof AppError ? error : new AppError('internal', String(error));
    }
    job.rate = 0;
    pump();
  }

  function send(url: string, job: Job): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const start = performance.now();
      job.request = markRaw(request);
      request.open('PUT', url);
      request.upload.addEventListener('progress', (event) => {
        job.done = event.loaded;
        job.rate = event.loaded / Math.max(0.25, (performance.now() - start) / 1000);
      });
      request.addEventListener('load', () => {
        if (request.status === 204) return resolve();
        const code = request.getResponseHeader('error-code') ?? 'internal';
        const known = (errorCodes as readonly string[]).includes(code) ? (code as ErrorCode) : 'internal';
        reject(
          new AppError(known, request.responseText.replace(/^[a-z_]+: /, '').trim() || 'It was refused.'),
        );
      });
      request.addEventListener('error', () =>
        reject(new AppError('unreachable', 'The connection broke while this file was being sent.')),
      );
      request.addEventListener('abort', () => reject(new AppError('cancelled', 'Cancelled.')));
      request.send(job.file);
    });
  }

  function cancel(id: number): void {
    const job = jobs.value.find((one) => one.id === id);
    if (job?.state === 'sending') job.request?.abort();
    jobs.value = jobs.value.filter((one) => one.id !== id);
    pump();
  }
  function retry(id: number, replace = false): void {
    const job = jobs.value.find((one) => one.id === id);
    if (!job) return;
    job.replace = replace;
    job.state = 'waiting';
    pump();
  }
  return { jobs, active, failed, progress, add, cancel, retry };
});
