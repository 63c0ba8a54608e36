// The entry point as `npm run build` lays it out: dist/apps/api/main.js.
import './src/main.js';
