/** What the parts of a kind of job are called, by its name. */
export interface Names {
  /** The contract: `RenderInvoice` for `invoice.render`. */
  contract: string;
  /** The schedule: `renderInvoice`. */
  schedule: string;
  /** The handler's file, without its ending: `render-invoice`. */
  handlerFile: string;
  /** `invoice` */
  queue: string;
}

/** What the generated files import beside the contract. */
const IMPORTED = ['Handler', 'JobContext', 'JobHandler'];

/**
 * Names are made of what the job is about and, last, what is done with it; in code the action goes first.
 *
 * @param name one that `defineJob` takes.
 * @throws Error when no class can be named so.
 */
export function namesOf(name: string): Names {
  const parts = name.split('.');
  const words = [...parts.slice(-1), ...parts.slice(0, -1)]
    .flatMap((part) => part.split(/[_-]+/))
    .filter(Boolean);
  const contract = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  if (!/^[A-Z]/.test(contract))
    throw new Error(`"${name}" makes no name for a class: let its last part start with a letter`);
  if (IMPORTED.includes(contract) || contract in globalThis)
    throw new Error(`"${name}" would make a class ${contract}, and there is one: use a name of more parts`);
  return {
    contract,
    schedule: contract.charAt(0).toLowerCase() + contract.slice(1),
    handlerFile: words.join('-'),
    queue: parts[0] as string,
  };
}
