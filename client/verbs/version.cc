#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>

#include "client/command_line/verb.h"
#include "common/base/build_version.h"

namespace equipoise {

std::string version_text() {
  return "equipoise " + build_version() + ", gRPC " + grpc::Version() + ", Protobuf " +
         google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
}

void add_version_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("version", "What this is");
  verb->callback([&chosen] { chosen = [](const Console& console) { console.out << version_text() << "\n"; }; });
}

}  // namespace equipoise
