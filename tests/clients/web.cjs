'use strict';
// OpenFeature's SDK for browsers, in Node: each line of standard input is an evaluation after its context was set, or
// waits until the provider has told of a change.

const { OpenFeature, ProviderEvents } = require('@openfeature/web-sdk');
const { OFREPWebProvider } = require('@openfeature/ofrep-web-provider');
const { EventSource } = require('eventsource');
const { answerEachLine, evaluate } = require('./lines.cjs');

const { AGENTAPI_URL: baseUrl, AGENTAPI_KEY: key, CHANGE_DETECTION: changeDetection } = process.env;

// What a browser has and Node has not.
globalThis.EventSource = EventSource;

const changes = { told: 0, asked: 0, wake: () => {} };

/** Waits for the next change that was not asked for yet. */
async function change() {
  while (changes.told <= changes.asked) {
    await new Promise((wake) => {
      changes.wake = wake;
    });
  }
  changes.asked += 1;
  return { changed: true };
}

async function main() {
  OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, () => {
    changes.told += 1;
    changes.wake();
  });
  const provider = new OFREPWebProvider({
    baseUrl,
    headers: [['Authorization', `Bearer ${key}`]],
    cacheMode: 'disabled',
    changeDetection,
    pollInterval: changeDetection === 'polling' ? 50 : 0,
  });
  const client = OpenFeature.getClient();
  let context;
  await answerEachLine(async (asked) => {
    if (asked.await === 'change') {
      return change();
    }
    const wanted = JSON.stringify(asked.context);
    if (context === undefined) {
      // A provider that cannot start says so by what it then evaluates.
      await OpenFeature.setProviderAndWait(provider, asked.context).catch(() => {});
    } else if (context !== wanted) {
      await OpenFeature.setContext(asked.context);
    }
    context = wanted;
    return evaluate(client, asked);
  });
  await OpenFeature.close();
}

main();
