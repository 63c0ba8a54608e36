import {
  applyDecorators,
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  NotFoundException,
  Post,
  Redirect,
  SetMetadata,
  UnauthorizedException,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Public } from '#health';
import { Audited, Connections, entryOf, isAction, isForLocalName, isFromHere, type Sender } from '#http';
import { Audit } from '#records';
import { Access, type Visitor } from './access.js';
import { ErrorPageFilter } from './error-page.filter.js';
import { PageInterceptor } from './page.interceptor.js';

const OPEN = 'dashboard:open';
const FOR_ALL_ROLES = 'dashboard:for-all-roles';

/** A request of the dashboard, once the guard has let it in. */
export type DashboardRequest = FastifyRequest & Sender & { visitor?: Visitor };

const FROM_ELSEWHERE = 'This form was sent by another site.';

/**
 * Lets in who is signed in. An action must come from a page of this dashboard, with its token, from an operator, unless its
 * route asks for less. A refused action has an audit line, too.
 */
@Injectable()
export class DashboardGuard implements CanActivate {
  constructor(
    private readonly access: Access,
    private readonly reflector: Reflector,
    private readonly audit: Audit,
    private readonly connections: Connections,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<DashboardRequest>();
    const allows = (what: string) =>
      this.reflector.getAllAndOverride<boolean>(what, [context.getHandler(), context.getClass()]);
    if (this.access.mode === 'off') throw new NotFoundException();
    if (this.access.mode === 'open' && !isForLocalName(request)) {
      throw new ForbiddenException('Without DASHBOARD_USERS the dashboard answers to localhost only.');
    }
    if (allows(OPEN)) {
      if (isAction(request) && !isFromHere(request)) throw new ForbiddenException(FROM_ELSEWHERE);
      return true;
    }

    const visitor = await this.access.visitorOf(request);
    if (!visitor) throw new UnauthorizedException();
    request.visitor = visitor;
    this.connections.welcome(request);
    request.actor = { name: visitor.name, via: 'dashboard' };
    const refusal = isAction(request) && refusalOf(request, visitor, allows(FOR_ALL_ROLES));
    if (!refusal) return true;
    const entry = entryOf(context, this.reflector);
    if (entry) await this.audit.refusal(entry, refusal);
    throw new ForbiddenException(refusal);
  }
}

/** Why a visitor may not do what a request asks for; undefined when that is fine. */
function refusalOf(request: DashboardRequest, visitor: Visitor, isForAllRoles: boolean): string | undefined {
  if (!isFromHere(request)) return FROM_ELSEWHERE;
  if (!visitor.isFrom((request.body as { csrf?: unknown } | undefined)?.csrf))
    return 'The page is too old: go back, load it again, and repeat what you did.';
  if (visitor.role !== 'operator' && !isForAllRoles)
    return 'You may look at everything; changing something takes an operator.';
  return undefined;
}

/** A controller of the dashboard: its own guard in place of the API key, and pages in place of JSON. */
export const DashboardController = (path = '') =>
  applyDecorators(
    Controller(`dashboard${path}`),
    ApiExcludeController(),
    Public(),
    UseGuards(DashboardGuard),
    UseInterceptors(PageInterceptor),
    UseFilters(ErrorPageFilter),
  );

/** A route for those who are not signed in, too. */
export const Open = () => SetMetadata(OPEN, true);

/** An action that viewers may do, too. */
export const ForAllRoles = () => SetMetadata(FOR_ALL_ROLES, true);

/** An action, named as in its audit line, that leads to the address that it answers with: `@Action('cancel', 'job.cancel')`. */
export const Action = (path: string, name: string, to = '') =>
  applyDecorators(Post(path), Audited(name), Redirect(to, 303));
