/** The same call will work later: a service is away or overloaded. Loops and {@link untilAvailable} wait for that. */
export abstract class TransientError extends Error {}
