// The import rules of docs/architecture.md. Type-only imports count like any other.

/** From the bottom up; those of one line do not know each other. */
const layers = [
  ['identity', 'store'],
  ['network'],
  ['history'],
  ['drive'],
  ['exchange'],
  ['sync'],
  ['hosting', 'ledger', 'stream'],
  ['apps'],
  ['api'],
  ['platform'],
  ['node'],
  ['headless', 'desktop', 'preload'],
];

const tests = ['\\.test\\.ts$', '/test/', '/testing/', '/testing\\.ts$'];

const order = layers.flatMap((line, rank) =>
  line.flatMap((layer) => {
    const above = [...line.filter((other) => other !== layer), ...layers.slice(rank + 1).flat()];
    if (above.length === 0) return [];
    return {
      name: `layer-${layer}`,
      comment: `${layer} may import the layers below it only`,
      severity: 'error',
      from: { path: `^src-main/${layer}/` },
      to: { path: `^src-main/(${above.join('|')})/` },
    };
  }),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...order,
    {
      name: 'face',
      comment: 'a layer is imported through its index.ts only (by tests also through its testing.ts)',
      severity: 'error',
      from: { path: '^src-main/([^/]+)/' },
      to: {
        path: '^src-main/[^/]+/',
        pathNot: ['^src-main/$1/', '^src-main/[^/]+/index\\.ts$', '^src-main/[^/]+/testing(/index)?\\.ts$'],
      },
    },
    {
      name: 'testing-in-tests',
      comment: 'what helps tests is not part of the product',
      severity: 'error',
      from: { path: '^src-', pathNot: tests },
      to: { path: ['/testing/', '/testing\\.ts$', '/test/', '\\.test\\.ts$'], pathNot: 'node_modules' },
    },
    {
      name: 'known-layer',
      comment: 'every folder of src-main is a layer of the list above',
      severity: 'error',
      from: { path: '^src-main/', pathNot: `^src-main/(${layers.flat().join('|')})/` },
      to: {},
    },
    {
      name: 'shared-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^src-shared/' },
      to: { path: '^(src-main|src-renderer|test|bin)/' },
    },
    {
      name: 'shared-without-node',
      comment: 'src-shared runs in the window too: no modules of Node (its DOM-free types see to the rest)',
      severity: 'error',
      from: { path: '^src-shared/', pathNot: tests },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'shared-packages',
      comment: 'zod is the one package that src-shared may use',
      severity: 'error',
      from: { path: '^src-shared/', pathNot: tests },
      to: { path: 'node_modules/', pathNot: 'node_modules/zod/' },
    },
    {
      name: 'renderer-knows-shared-only',
      severity: 'error',
      from: { path: '^src-renderer/' },
      to: { path: '^(src-main|bin)/' },
    },
    {
      name: 'renderer-features-apart',
      comment: 'what two features share lies in ui, stores or rpc; app puts them together',
      severity: 'error',
      from: { path: '^src-renderer/features/([^/]+)/' },
      to: { path: '^src-renderer/(features|app)/', pathNot: '^src-renderer/features/$1/' },
    },
    {
      name: 'renderer-ui-below',
      comment: 'ui, stores and rpc know nothing of features and pages',
      severity: 'error',
      from: { path: '^src-renderer/(ui|stores|rpc)/' },
      to: { path: '^src-renderer/(features|app)/' },
    },
    {
      name: 'renderer-without-node',
      severity: 'error',
      from: { path: '^src-renderer/', pathNot: tests },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'electron-in-its-shell',
      severity: 'error',
      from: { pathNot: '^src-main/(desktop|preload)/' },
      to: { path: '^electron$|node_modules/electron/' },
    },
    {
      name: 'no-development-packages',
      comment: 'what runs in the product is among the dependencies',
      severity: 'error',
      // The window's packages end up in its build: they are needed for building only.
      from: { path: '^src-(main|shared)/', pathNot: tests },
      // Electron is what the shell runs in, not what it brings along.
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/electron/',
      },
    },
    {
      name: 'listed-packages',
      comment: 'every package we import is named in package.json',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    moduleSystems: ['es6'],
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['node', 'import', 'types', 'default'],
    },
  },
};
