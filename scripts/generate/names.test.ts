import { expect, test } from '@jest/globals';
import { namesOf } from './names.js';

test.each([
  ['invoice.render', 'RenderInvoice', 'renderInvoice', 'render-invoice', 'invoice'],
  ['nightly.sync', 'SyncNightly', 'syncNightly', 'sync-nightly', 'nightly'],
  ['cleanup', 'Cleanup', 'cleanup', 'cleanup', 'cleanup'],
  [
    'billing.eu_invoice.send-again',
    'SendAgainBillingEuInvoice',
    'sendAgainBillingEuInvoice',
    'send-again-billing-eu-invoice',
    'billing',
  ],
  ['2fa.send', 'Send2fa', 'send2fa', 'send-2fa', '2fa'],
])('%s', (name, contract, schedule, handlerFile, queue) => {
  expect(namesOf(name)).toEqual({ contract, schedule, handlerFile, queue });
});

test.each(['send.2fa', '-', '42'])('%s makes no name for a class', (name) => {
  expect(() => namesOf(name)).toThrow('let its last part start with a letter');
});

test.each(['handler', 'handler.job', 'map', 'error', 'job-context'])(
  '%s would make a class that is there',
  (name) => {
    expect(() => namesOf(name)).toThrow('use a name of more parts');
  },
);
