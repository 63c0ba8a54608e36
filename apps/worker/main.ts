// The entry point as `npm run build` lays it out: dist/apps/worker/main.js.
import './src/main.js';
