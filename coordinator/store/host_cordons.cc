#include "coordinator/store/host_cordons.h"

#include "coordinator/store/row_reading.h"

namespace equipoise::coordinator {

HostCordons::HostCordons(Database& database)
    : insert_(database,
              "INSERT OR REPLACE INTO host_cordons(host, cause, reason, since, processes) VALUES (?, ?, ?, ?, ?)"),
      delete_(database, "DELETE FROM host_cordons WHERE host = ?"),
      select_(database, "SELECT host, cause, reason, since, processes FROM host_cordons") {}

void HostCordons::set(const std::string& host, const std::optional<StoredCordon>& cordon) {
  if (!cordon) return delete_.run(host);
  insert_.run(host, cordon->cause, cordon->reason, cordon->since, cordon->processes);
}

std::map<std::string, StoredCordon> HostCordons::all() {
  std::map<std::string, StoredCordon> cordons;
  const ResetAtEnd reset(select_);
  for (select_.begin(); select_.next();) {
    cordons[select_.bytes(0)] = {.cause = select_.bytes(1),
                                 .reason = select_.bytes(2),
                                 .since = select_.integer(3),
                                 .processes = select_.bytes(4)};
  }
  return cordons;
}

}  // namespace equipoise::coordinator
