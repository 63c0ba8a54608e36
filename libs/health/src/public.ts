import { SetMetadata } from '@nestjs/common';

export const PUBLIC = 'public';

/** Marks a controller or a route that needs no API key. */
export const Public = () => SetMetadata(PUBLIC, true);
