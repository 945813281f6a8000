// How many records a test makes up: some in every run of the tests, a million with `make fuzz`. And their damage.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "common/protocol/job_state.h"
#include "coordinator/store/database.h"
#include "coordinator/store/job_rows.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// `usual`, or that many of FUZZ_RECORDS where the environment has it: at least `usual`.
inline int fuzz_records(int usual) {
  const char* const wanted = std::getenv("FUZZ_RECORDS");
  return wanted == nullptr ? usual : std::max(usual, std::stoi(wanted));
}

// Bytes cut off, put in or changed.
inline std::string changed_bytes(std::string bytes, std::mt19937_64& random) {
  const std::size_t place = bytes.empty() ? 0 : random() % bytes.size();
  switch (random() % 4) {
    case 0:
      return bytes.substr(0, place);
    case 1:
      return bytes.insert(place, 1 + random() % 8, static_cast<char>(random()));
    default:
      for (std::uint64_t i = 0, changes = 1 + random() % 4; i < changes && !bytes.empty(); ++i) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      return bytes;
  }
}

// Puts `count` jobs into the database, each one of `bases` with damaged bytes and the checksum of those, so that all
// that reads them does: as another program, or a bug, could write them.
inline void insert_damaged_jobs(const std::filesystem::path& file, const std::vector<v1::TrainingJob>& bases, int count,
                                std::mt19937_64& random) {
  Database database(file);
  database.execute("PRAGMA synchronous = OFF");
  Statement insert(database, "INSERT INTO jobs(id, state, job, desired, checksum) VALUES (?, ?, ?, ?, ?)");
  Transaction transaction(database);
  for (int i = 0; i < count; ++i) {
    v1::TrainingJob base = bases[random() % bases.size()];
    base.set_id("made-up-" + std::to_string(i));
    JobRow row{.id = base.id(),
               .state = std::string(state_name(base.state())),
               .job = changed_bytes(base.SerializeAsString(), random)};
    row.checksum = row_checksum(row);
    insert.run(row.id, row.state, Blob{row.job}, row.desired, Blob{row.checksum});
  }
  transaction.commit();
}

}  // namespace equipoise::coordinator
