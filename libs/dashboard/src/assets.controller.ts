import { send } from '@fastify/send';
import { Get, NotFoundException, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ASSETS, versionOf } from './assets.js';
import { DashboardController, Open } from './dashboard.guard.js';

/** Styles and script of the pages. */
@DashboardController('/assets')
export class AssetsController {
  @Open()
  @Get(':version/:name')
  async show(
    @Param('version') version: string,
    @Param('name') name: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const current = versionOf(name);
    if (!current) throw new NotFoundException();
    const { statusCode, headers, stream } = await send(request.raw, name, {
      root: ASSETS,
      cacheControl: false,
    });
    // While one api is replaced by a newer one, a page of the one may ask the other: better its styles than none.
    const lifetime = version === current ? 'public, max-age=31536000, immutable' : 'no-cache';
    void reply.status(statusCode).headers(headers).header('cache-control', lifetime).send(stream);
  }
}
