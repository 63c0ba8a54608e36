/**
 * The same call will work later: a service is away or overloaded, and nothing is wrong with the request. Loops and
 * {@link untilAvailable} wait for its end.
 */
export abstract class TransientError extends Error {}
