'use strict';
// OpenFeature's SDK for servers (JavaScript): each line of standard input is an evaluation with a context of its own.

const { OpenFeature } = require('@openfeature/server-sdk');
const { OFREPProvider } = require('@openfeature/ofrep-provider');
const { answerEachLine, evaluate } = require('./lines.cjs');

const { AGENTAPI_URL: baseUrl, AGENTAPI_KEY: key } = process.env;

async function main() {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers: [['Authorization', `Bearer ${key}`]] }));
  const client = OpenFeature.getClient();
  await answerEachLine((asked) => evaluate(client, asked));
}

main();
