// A gRPC service of bytes, and clients of it, by grpc-js and without a schema compiler.
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Metadata,
  makeGenericClientConstructor,
  type requestCallback,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

const bytes = (message: Buffer) => message;

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/evenkeel.test.Bytes/${name}`,
  ...{ requestStream, responseStream },
  ...{ requestSerialize: bytes, requestDeserialize: bytes },
  ...{ responseSerialize: bytes, responseDeserialize: bytes },
});

const SERVICE: ServiceDefinition = {
  unary: method("Unary", false, false),
  serverStream: method("ServerStream", false, true),
  clientStream: method("ClientStream", true, false),
  duplex: method("Duplex", true, true),
};

/** Messages as large as they like. */
const UNBOUNDED = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

export interface BytesClient extends Client {
  unary(
    message: Buffer,
    metadata: Metadata,
    options: CallOptions,
    done: requestCallback<Buffer>,
  ): ClientUnaryCall;
  serverStream(message: Buffer, options?: CallOptions): ClientReadableStream<Buffer>;
  clientStream(done: requestCallback<Buffer>): ClientWritableStream<Buffer>;
  duplex(options?: CallOptions): ClientDuplexStream<Buffer, Buffer>;
}

export function grpcClient(address: string, credentials: ChannelCredentials, options = {}): BytesClient {
  const Constructor = makeGenericClientConstructor(SERVICE, "Bytes");
  return new Constructor(address, credentials, { ...UNBOUNDED, ...options }) as unknown as BytesClient;
}

export interface GrpcBackend {
  port: number;
  /** Cuts all connections; new ones are refused. */
  kill(): void;
}

export function startGrpcBackend(implementation: UntypedServiceImplementation): Promise<GrpcBackend> {
  const server = new Server(UNBOUNDED);
  server.addService(SERVICE, implementation);
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve({ port, kill: () => server.forceShutdown() });
    });
  });
}
