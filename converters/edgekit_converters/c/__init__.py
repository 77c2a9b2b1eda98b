"""From a TFLite file to C99: read the graph, choose a kernel for each operator, plan the memory, write the source."""
