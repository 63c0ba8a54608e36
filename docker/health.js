// The images' health check: asks the app in this container, by its port, whether it is ready.
const answer = await fetch(`http://127.0.0.1:${process.argv[2]}/health/ready`).catch(() => undefined);
process.exit(answer?.ok ? 0 : 1);
