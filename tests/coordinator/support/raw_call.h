// Calls of standard services, whose protocol files are not installed with gRPC: messages are written out as bytes.
#pragma once

#include <string>

namespace equipoise::coordinator {

// Sends one message and returns the first that comes back. A status that is not OK is a failure of the test.
std::string raw_call(const std::string& address, const std::string& method, const std::string& message);

// Field `number` of length-delimited type, of less than 128 bytes.
std::string field(int number, const std::string& value);

// What grpc.health.v1 answers for a service; empty: for the whole.
std::string health_of(const std::string& address, const std::string& service = "");
inline constexpr const char* kServing = "\x08\x01";
inline constexpr const char* kNotServing = "\x08\x02";

}  // namespace equipoise::coordinator
