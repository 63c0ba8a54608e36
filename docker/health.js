// The images' health check: asks the app in this container whether it is ready.
const defaults = { PORT: 3000, WORKER_PORT: 3001 };
const setting = process.env.HEALTH_PORT_SETTING;
const port = process.env[setting] || defaults[setting];
const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
process.exit(answer?.ok ? 0 : 1);
