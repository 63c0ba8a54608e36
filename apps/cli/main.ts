// The entry point as `npm run build` lays it out: dist/apps/cli/main.js.
import './src/main.js';
