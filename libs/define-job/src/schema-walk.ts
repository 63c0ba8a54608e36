import type { z } from 'zod';

/** A schema whose `_zod.def` tells its type. */
export type Schema = z.core.$ZodTypes;

/** The schemas that a value itself has to fit, one of them or all; or the one that its discriminator chooses. */
export function facesOf({ _zod: { def } }: Schema, value?: unknown): z.core.$ZodType[] {
  switch (def.type) {
    case 'union': {
      const { discriminator } = def as z.core.$ZodDiscriminatedUnionDef;
      const chosen =
        discriminator === undefined
          ? undefined
          : def.options.find(({ _zod }) =>
              _zod.propValues?.[discriminator]?.has((value as Record<string, never>)?.[discriminator]),
            );
      return chosen ? [chosen] : [...def.options];
    }
    case 'intersection':
      return [def.left, def.right];
    case 'pipe':
      return [def.in, def.out];
    case 'lazy':
      return [def.getter()];
    default:
      return 'innerType' in def ? [def.innerType] : [];
  }
}

/** The schemas of what may stand in a value: under keys of their own, and under any other. */
export function innerOf({ _zod: { def } }: Schema): {
  keys: Record<string, z.core.$ZodType>;
  others?: z.core.$ZodType | null;
} {
  switch (def.type) {
    case 'object':
      return { keys: def.shape, others: def.catchall };
    case 'array':
      return { keys: {}, others: def.element };
    case 'tuple':
      return { keys: Object.fromEntries(Object.entries(def.items)), others: def.rest };
    case 'record':
    case 'map':
    case 'set':
      return { keys: {}, others: def.valueType };
    default:
      return { keys: {} };
  }
}
