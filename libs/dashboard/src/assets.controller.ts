import { Get, NotFoundException, Param, Res, StreamableFile } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { assetOf } from './assets.js';
import { DashboardController, Open } from './dashboard.guard.js';

/** Styles and script of the pages. */
@DashboardController('/assets')
export class AssetsController {
  @Open()
  @Get(':version/:name')
  show(
    @Param('version') version: string,
    @Param('name') name: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): StreamableFile {
    const asset = assetOf(name);
    if (!asset) throw new NotFoundException();
    // While one api is replaced by a newer one, a page of the one may ask the other: better its styles than none.
    const isSame = version === asset.version;
    reply.header('cache-control', isSame ? 'public, max-age=31536000, immutable' : 'no-cache');
    return new StreamableFile(asset.content, { type: asset.type, length: asset.content.length });
  }
}
