/** Names of the apps that ship with ExtraChain. */
export function shippedApps(): string[];
/**
 * Builds an app of assets/apps into a folder that `app pack` takes.
 * @returns the folder
 */
export function buildApp(name: string, outDir: string): Promise<string>;
