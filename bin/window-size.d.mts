/** The most that the window may take, bytes gzipped. */
export declare const windowBudget: number;
/**
 * @param folder a built window
 * @returns bytes gzipped: of everything but the PDF viewer, and of what `index.html` names
 */
export declare function windowSize(folder: string): { readonly all: number; readonly first: number };
