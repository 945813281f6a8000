// Who calls the service, and how much they may do.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace equipoise::coordinator {

// Each may do what those before it may.
enum class Role {
  kViewer,    // read
  kOperator,  // make jobs, change them, be a rank of a job that nobody launches
  kAdmin,     // delete them
};

// "viewer"; as files of tokens and messages have it.
std::string_view role_name(Role role);
std::optional<Role> role_of_name(std::string_view name);

struct Principal {
  std::string name;
  Role role = Role::kViewer;
};

}  // namespace equipoise::coordinator
