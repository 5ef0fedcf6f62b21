"""BuildKit's own protocol: gRPC over HTTP/2 on connections taken over from the Docker API.

`protobuf` and `http2` carry bytes, `grpc` calls; `messages` are the shapes. `control` and `gateway` answer a client's
calls, `session` makes ours to the client (files, secrets, keys). A Dockerfile build goes to `engine.build`: there is no
LLB here, because buildx sends the frontend's name and options, not a graph.
"""
