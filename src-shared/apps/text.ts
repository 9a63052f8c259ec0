import { z } from '../contract/zod.ts';

/** What cannot be seen or turns the direction of writing: with it a name or a question could read as something else. */
const unseen = /[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

/** One line of an app's that a person reads, as in a question: only what can be seen. */
export const shownText = (most: number) =>
  z
    .string()
    .max(most)
    .refine((text) => !unseen.test(text), 'It holds characters that cannot be seen.');
