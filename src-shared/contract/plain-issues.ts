import type { z } from 'zod';

/*
 * What is wrong with an input, for people: a command's user sees these sentences where a schema has none of its own. They follow
 * "… is not right: ".
 */

type Issue = Parameters<z.core.$ZodErrorMap>[0];

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object with fields',
  record: 'an object with fields',
  null: 'null',
};

const counted = (count: number | bigint, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

function tooSmall({ origin, minimum, inclusive }: z.core.$ZodIssueTooSmall): string {
  if (origin === 'string' && minimum === 1) return 'It is empty.';
  if (origin === 'string') return `It has to have at least ${counted(minimum, 'character')}.`;
  if (origin === 'array') return `There has to be at least ${minimum} of it.`;
  return inclusive === false ? `It has to be more than ${minimum}.` : `It has to be at least ${minimum}.`;
}

function tooBig({ origin, maximum, inclusive }: z.core.$ZodIssueTooBig): string {
  if (origin === 'string') return `It may have ${counted(maximum, 'character')} at the most.`;
  if (origin === 'array') return `There may be ${maximum} of it at the most.`;
  return inclusive === false ? `It has to be less than ${maximum}.` : `It may be ${maximum} at the most.`;
}

/** A sentence about an issue; undefined where zod's own has to do. */
export function plainIssue(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'too_small':
      return tooSmall(issue as z.core.$ZodIssueTooSmall);
    case 'too_big':
      return tooBig(issue as z.core.$ZodIssueTooBig);
    case 'invalid_type': {
      if (issue.input === undefined) return 'It is missing.';
      const kind = kinds[issue.expected];
      return kind === undefined ? undefined : `It has to be ${kind}.`;
    }
    case 'invalid_value':
      return `It has to be ${issue.values.map(String).join(', ')}.`.replace(/, ([^,]*)$/, ' or $1');
    case 'invalid_format':
      return 'It is not written as it has to be.';
    case 'unrecognized_keys':
      return `It has fields that are not known: ${issue.keys.join(', ')}.`;
    case 'not_multiple_of':
      return `It has to be a multiple of ${issue.divisor}.`;
    default:
      return undefined;
  }
}
