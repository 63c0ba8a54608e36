export { ApiRoleModule } from './api-role.module.js';
export { ToolRoleModule } from './tool-role.module.js';
export { WorkerRoleModule } from './worker-role.module.js';
