/** What everybody knows or guesses first, wherever it stands in a secret. */
const WELL_KNOWN =
  /change.?(me|it|this)|replace.?(me|it|this)|placeholder|example|insert.?here|your.?(own.?)?(key|secret|password)|^(admin|default|guest|letmein|password|postgres|rabbitmq|root|secret|test|warren)\d*$/i;
/** Random text of 16 characters has more different ones than this. */
const FEW_CHARACTERS = 6;

/**
 * Says which settings would not do in production: a secret that is a default, an example or a placeholder, and TLS
 * that trusts anybody. It looks at every URL and at every setting that is named as a secret is.
 *
 * @param settings as they are written in the environment, defaults included.
 * @returns the settings by name, each with what is wrong with it and what to do.
 */
export function unfitForProduction(
  settings: Readonly<Record<string, string>>,
): [name: string, problem: string][] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const problems = value
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean)
      .map((part) => (/KEY|SECRET|PASSWORD/.test(name) ? problemOfSecret(part) : problemOfUrl(part)));
    const problem = problems.find((found) => found !== undefined);
    return problem ? [[name, problem] as [string, string]] : [];
  });
}

function problemOfSecret(secret: string): string | undefined {
  if (!isGuessable(secret)) return undefined;
  return 'is an example or a placeholder: make one of your own from random bytes';
}

function problemOfUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, username, password, searchParams } = new URL(text);
  const scheme = protocol.slice(0, -1);
  const isBroker = scheme === 'amqp' || scheme === 'amqps';
  const isDatabase = scheme === 'postgres' || scheme === 'postgresql';
  // Without a user the client logs in to a broker as guest; to a database it may by other means than a password.
  if (isBroker && !username) return `names no user, which means guest: ${ADVICE.broker}`;
  if (password && (decoded(password) === decoded(username) || isGuessable(decoded(password))))
    return `has a password that everybody knows: ${isBroker ? ADVICE.broker : isDatabase ? ADVICE.database : ADVICE.other}`;
  // What the driver takes for TLS with anybody.
  const isUnverified =
    [searchParams.get('sslmode'), searchParams.get('ssl')].includes('no-verify') ||
    (searchParams.has('uselibpqcompat') && searchParams.get('sslmode') !== 'verify-full');
  if (isDatabase && isUnverified)
    return 'would not look who answers: use sslmode=verify-full, see docs/security.md';
  return undefined;
}

const ADVICE = {
  broker: 'make a broker user for this app with a password of its own, see docs/security.md',
  database: 'make a role for this app with a password of its own, see docs/security.md',
  other: 'set one of your own',
};

function isGuessable(secret: string): boolean {
  // Such as whsec_, which says what kind of secret it is; and what an API key may do, before the last colon.
  const bare = secret.replace(/^.*:(?=.{16})/, '').replace(/^[a-z]+_/, '');
  return WELL_KNOWN.test(bare) || new Set(bare).size < FEW_CHARACTERS;
}

/** A password may hold a percent sign that is no escape. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
