// The first import of every program, and what npm runs before one. In JavaScript, since a Node that is too old to run
// the programs may be too old to load TypeScript as well.
const NEEDED = 26;

if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  process.stderr.write(
    `CortexFlow needs Node ${NEEDED} or newer, and this is ${process.version}: run npm ci, which installs Node ${NEEDED} ` +
      'in node_modules, and then the program with npm start or npm run, which use it.\n',
  );
  process.exit(1);
}
