// The hosts of a coordinator: which there are, and which are left out.
#include <memory>
#include <string>
#include <vector>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/report/host_table.h"
#include "client/table/display_width.h"
#include "client/verbs/message_result.h"

namespace equipoise {
namespace {

struct HostFlags {
  CoordinatorFlags coordinator;
  std::string name;
  std::string reason;
  ResultFlags result;
};

v1::ListHostsResponse all_hosts(Connection& connection) {
  v1::ListHostsRequest request;
  v1::ListHostsResponse all;
  do {
    const v1::ListHostsResponse page = connection.list_hosts(request);
    all.mutable_hosts()->MergeFrom(page.hosts());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

void list_hosts(const HostFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::ListHostsResponse hosts = all_hosts(connection);
  VerbResult result = message_result(hosts, [&]() -> std::string {
    if (hosts.hosts().empty()) return "no hosts: the coordinator has no hostfile, and counts no slots\n";
    return host_table(hosts, console.colors, console.glyphs, flags.result.detail());
  });
  result.names = [&hosts] {
    std::vector<std::string> names;
    for (const v1::Host& host : hosts.hosts()) names.push_back(printable(host.name()));
    return names;
  };
  flags.result.print(result, console);
}

std::string host_sentence(const v1::Host& host) {
  std::string text = printable(host.name()) + " is " + host_state_name(host.state());
  if (host.has_cordon()) text += ": " + printable(host.cordon().reason());
  if (host.has_cordon() && host.used_slots() > 0) {
    text += "; " + std::to_string(host.used_slots()) + " of its " + std::to_string(host.slots()) +
            " slots are still in use";
  }
  return text + "\n";
}

void say_host(const v1::Host& host, const HostFlags& flags, const Console& console) {
  VerbResult result = message_result(host, [&host] { return host_sentence(host); });
  result.names = [&host] { return std::vector<std::string>{printable(host.name())}; };
  flags.result.print(result, console);
}

std::shared_ptr<HostFlags> add_host_flags(CLI::App& verb) {
  auto flags = std::make_shared<HostFlags>();
  flags->coordinator.add_to(verb);
  flags->result.add_to(verb, {ResultFormat::kName});
  return flags;
}

void add_hosts_list_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("list", "Hosts, their slots, and which are left out, since when and why");
  const auto flags = add_host_flags(*verb);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { list_hosts(*flags, console); }; });
}

void add_hosts_cordon_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("cordon", "Place no attempt on a host any more; jobs that run there go on");
  const auto flags = add_host_flags(*verb);
  verb->add_option("HOST", flags->name, "As `hosts list` prints it")->type_name("")->required();
  verb->add_option("--reason", flags->reason, "Why, for those who find it unused")->type_name("TEXT")->required();
  verb->footer("It stays so under a coordinator that is started again, until `hosts uncordon`.");
  verb->callback([flags, &chosen] {
    chosen = [flags](const Console& console) {
      say_host(flags->coordinator.connect().cordon_host(flags->name, flags->reason), *flags, console);
    };
  });
}

void add_hosts_uncordon_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("uncordon", "Place attempts on a host again, whoever has cordoned it");
  const auto flags = add_host_flags(*verb);
  verb->add_option("HOST", flags->name, "As `hosts list` prints it")->type_name("")->required();
  verb->callback([flags, &chosen] {
    chosen = [flags](const Console& console) {
      say_host(flags->coordinator.connect().uncordon_host(flags->name), *flags, console);
    };
  });
}

}  // namespace

void add_hosts_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("hosts", "Look at the hosts of a coordinator, leave one out");
  verb->require_subcommand(1);
  for (const auto add : {add_hosts_list_verb, add_hosts_cordon_verb, add_hosts_uncordon_verb}) add(*verb, chosen);
  verb->footer("EQUIPOISE_COORDINATOR=HOST:PORT saves typing --coordinator each time.");
}

}  // namespace equipoise
