import { z } from 'zod';
import { plainIssue } from './plain-issues.ts';

// Before the first schema is built: zod would otherwise compile checks with `new Function`, which our CSP forbids.
z.config({ jitless: true, customError: plainIssue });

export { z };
