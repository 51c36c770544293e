"""OpenFeature's SDK for Python: each line of standard input is an evaluation, answered with a line of JSON."""

import json
import os
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['AGENTAPI_KEY']}"}
    api.set_provider(OFREPProvider(os.environ["AGENTAPI_URL"], headers_factory=lambda: headers))
    client = api.get_client()
    for line in sys.stdin:
        asked = json.loads(line)
        attributes = asked.get("context")
        context = attributes and EvaluationContext(attributes.pop("targetingKey", None), attributes)
        method = getattr(client, f"get_{asked['type']}_details")
        details = method(asked["flag"], asked["otherwise"], context or None)
        told = {
            "value": details.value,
            "variant": details.variant,
            "reason": details.reason,
            "errorCode": details.error_code,
            "errorMessage": details.error_message,
            "flagMetadata": details.flag_metadata,
        }
        print(json.dumps({name: member for name, member in told.items() if member is not None}), flush=True)


if __name__ == "__main__":
    main()
