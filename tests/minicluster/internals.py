"""Uses the functions of ``functions.internals`` that need no running operator; prints JSON."""

from __future__ import annotations

import json

from pyflink.common.job_client import JobClient
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.fn_execution.state_impl import RemoteKeyedStateBackend
from pyflink.java_gateway import get_gateway

from functions import internals

if __name__ == "__main__":
    env = StreamExecutionEnvironment.get_execution_environment()
    stream = env.from_collection([1, 2, 3]).map(lambda number: number)
    java_stream = internals.java_stream(stream).getClass().getName()
    stream.print()
    graph = internals.stream_graph_of(env, "internals")
    changed = 0
    for node in graph.getStreamNodes().toArray():
        factory = node.getOperatorFactory()
        # Sources and sinks have factories without an operator at hand.
        if "SimpleOperatorFactory" not in factory.getClass().getName():
            continue
        operator = factory.getOperator()
        if ".python." in operator.getClass().getName():
            own = operator.getConfiguration().clone()
            own.setString("changed", "yes")
            internals.set_operator_configuration(operator, own)
            changed += operator.getConfiguration().getString("changed", "no") == "yes"
    job = JobClient(internals.java_environment(env).executeAsync(graph))
    client = internals.java_job_client(job)
    print(
        json.dumps(
            {
                "stream": java_stream,
                "changed": changed,
                "job": str(internals.java_job_id(job)) == str(client.getJobID()),
                "minicluster": internals.minicluster_of(job).getClass().getName(),
                "stop": [
                    len(method.getParameterTypes())
                    for method in client.getClass().getMethods()
                    if method.getName() == "stopWithSavepoint"
                ],
                "set_current_key": hasattr(RemoteKeyedStateBackend, "set_current_key"),
                "setCurrentKey": any(
                    method.getName() == "setCurrentKey"
                    for method in get_gateway()
                    .jvm.java.lang.Class.forName("org.apache.flink.runtime.state.KeyedStateBackend")
                    .getMethods()
                ),
            }
        )
    )
