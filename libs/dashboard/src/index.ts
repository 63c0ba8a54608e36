export { DashboardModule } from './dashboard.module.js';
export { hashPassword, isPassword } from './passwords.js';
