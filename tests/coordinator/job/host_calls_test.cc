#include "coordinator/job/host_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace host_calls_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Hosts : public ControllerFixture {
 protected:
  Hosts() {
    settings_.supervisor.hosts = {{.name = "alice@node1", .slots = 2}, {.name = "node2", .slots = 1}};
    settings_.supervisor.max_running_jobs = 10;
    restart();
  }
  HostCalls& hosts() { return core_->host_calls(); }
  v1::Host host(const std::string& name) {
    const v1::ListHostsResponse all = hosts().list({});
    for (const v1::Host& one : all.hosts()) {
      if (one.name() == name) return one;
    }
    ADD_FAILURE() << name << " is not listed";
    return {};
  }
  static v1::CordonHostRequest cordon_request(const std::string& name, const std::string& reason,
                                              const std::string& request_id = "") {
    v1::CordonHostRequest request;
    request.set_name(name);
    request.set_reason(reason);
    request.set_request_id(request_id);
    return request;
  }
  static v1::UncordonHostRequest uncordon_request(const std::string& name, const std::string& request_id = "") {
    v1::UncordonHostRequest request;
    request.set_name(name);
    request.set_request_id(request_id);
    return request;
  }
  std::string submitted(int workers) {
    const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers))).id();
    core_->attempts().tick();
    return id;
  }
};

TEST_F(Hosts, AreListedInTheOrderOfTheHostfileWithWhatIsUsed) {
  const auto id = submitted(2);
  const v1::ListHostsResponse all = hosts().list({});
  ASSERT_EQ(all.hosts_size(), 2);
  EXPECT_EQ(all.hosts(0).name(), "alice@node1");
  EXPECT_EQ(all.hosts(0).slots(), 2);
  EXPECT_EQ(all.hosts(0).used_slots(), 2);
  EXPECT_EQ(all.hosts(0).state(), v1::HOST_STATE_READY);
  EXPECT_THAT(all.hosts(0).job_ids(), ElementsAre(id));
  EXPECT_FALSE(all.hosts(0).has_cordon());
  EXPECT_EQ(all.hosts(1).used_slots(), 0);
  EXPECT_THAT(all.hosts(1).job_ids(), IsEmpty());
}

TEST_F(Hosts, ArePaged) {
  v1::ListHostsRequest request;
  request.set_page_size(1);
  v1::ListHostsResponse page = hosts().list(request);
  EXPECT_EQ(page.hosts(0).name(), "alice@node1");
  request.set_page_token(page.next_page_token());
  page = hosts().list(request);
  EXPECT_EQ(page.hosts(0).name(), "node2");
  EXPECT_EQ(page.next_page_token(), "");
  request.set_page_token("forged");
  EXPECT_THAT(error_of([&] { hosts().list(request); }).text, HasSubstr("page_token"));
  request.set_page_token("");
  request.set_page_size(1001);
  EXPECT_THAT(error_of([&] { hosts().list(request); }).text, HasSubstr("page_size"));
}

TEST_F(Hosts, NoAttemptIsPlacedOnACordonedOneAndJobsThatRunGoOn) {
  const auto running = submitted(2);
  const v1::Host cordoned = hosts().cordon(cordon_request("node1", "its fan\nis loud"));
  EXPECT_EQ(cordoned.name(), "alice@node1");
  EXPECT_EQ(cordoned.state(), v1::HOST_STATE_CORDONED);
  EXPECT_EQ(cordoned.cordon().reason(), "its fan is loud");
  EXPECT_EQ(cordoned.cordon().cause(), v1::CORDON_CAUSE_OPERATOR);
  EXPECT_GT(cordoned.cordon().create_time().seconds(), 0);
  EXPECT_EQ(cordoned.used_slots(), 2);
  EXPECT_EQ(job(running).state(), v1::JOB_STATE_STARTING);
  EXPECT_THAT(launcher_.terminated, IsEmpty());
  mpirun_exits(running, 1);
  const auto waiting = submitted(2);
  EXPECT_EQ(job(waiting).state(), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(job(waiting).state_reason(), HasSubstr("not used: alice@node1, cordoned: its fan is loud"));
  hosts().uncordon(uncordon_request("alice@node1"));
  core_->attempts().tick();
  EXPECT_EQ(job(waiting).state(), v1::JOB_STATE_STARTING);
}

TEST_F(Hosts, ACordonIsOnRecord) {
  hosts().cordon(cordon_request("node2", "a new disk"));
  const auto since = host("node2").cordon().create_time();
  clock_.advance(60s);
  restart();
  EXPECT_EQ(host("node2").cordon().reason(), "a new disk");
  EXPECT_EQ(host("node2").cordon().cause(), v1::CORDON_CAUSE_OPERATOR);
  EXPECT_EQ(host("node2").cordon().create_time().seconds(), since.seconds());
  submitted(1);
  EXPECT_EQ(host("node2").used_slots(), 0);
  EXPECT_EQ(hosts().cordon(cordon_request("node2", "two of them")).cordon().create_time().seconds(), since.seconds());
  hosts().uncordon(uncordon_request("node2"));
  restart();
  EXPECT_EQ(host("node2").state(), v1::HOST_STATE_READY);
}

TEST_F(Hosts, ARepeatedRequestChangesNothing) {
  hosts().cordon(cordon_request("node2", "a new disk", "r1"));
  hosts().uncordon(uncordon_request("node2", "r2"));
  restart();
  EXPECT_EQ(hosts().cordon(cordon_request("node2", "a new disk", "r1")).state(), v1::HOST_STATE_READY);
  EXPECT_EQ(host("node2").state(), v1::HOST_STATE_READY);
  hosts().cordon(cordon_request("node2", "a new disk", "r3"));
  EXPECT_EQ(hosts().uncordon(uncordon_request("node2", "r2")).state(), v1::HOST_STATE_CORDONED);
  const auto other = error_of([&] { hosts().cordon(cordon_request("node2", "another", "r1")); });
  EXPECT_EQ(other.code, Refusal::Code::kInvalidArgument);
  EXPECT_THAT(other.text, HasSubstr("\"r1\" was used for another request; use a new one"));
  auto create = create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1));
  create.set_request_id("r1");
  EXPECT_EQ(error_of([&] { jobs().create(create); }).code, Refusal::Code::kInvalidArgument);
  EXPECT_THAT(error_of([&] { hosts().uncordon(uncordon_request("node2", std::string(65, 'r'))); }).text,
              HasSubstr("request_id has 65 bytes"));
}

TEST_F(Hosts, WhatIsNoHostOrNoReasonIsNamed) {
  const auto unknown = error_of([&] { hosts().cordon(cordon_request("node3", "why")); });
  EXPECT_EQ(unknown.code, Refusal::Code::kNotFound);
  EXPECT_EQ(unknown.text, "there is no host \"node3\": the hosts are alice@node1, node2");
  EXPECT_EQ(error_of([&] { hosts().uncordon(uncordon_request("node3")); }).code, Refusal::Code::kNotFound);
  EXPECT_THAT(error_of([&] { hosts().cordon(cordon_request("node2", " \n")); }).text, HasSubstr("reason is empty"));
  EXPECT_THAT(error_of([&] { hosts().cordon(cordon_request("node2", std::string(257, 'x'))); }).text,
              HasSubstr("257 bytes, expected at most 256"));
  EXPECT_EQ(hosts().uncordon(uncordon_request("node2")).state(), v1::HOST_STATE_READY);
}

TEST_F(Hosts, OneThatHasLeftTheHostfileIsListedUntilItIsUncordoned) {
  hosts().cordon(cordon_request("node2", "sold"));
  settings_.supervisor.hosts.pop_back();
  restart();
  EXPECT_EQ(host("node2").slots(), 0);
  hosts().uncordon(uncordon_request("node2", "r1"));
  EXPECT_EQ(hosts().list({}).hosts_size(), 1);
  EXPECT_EQ(hosts().uncordon(uncordon_request("node2", "r1")).name(), "node2") << "the answer may have been lost";
}

TEST_F(Hosts, WithoutAHostfileThereAreNone) {
  settings_.supervisor.hosts.clear();
  restart();
  EXPECT_EQ(hosts().list({}).hosts_size(), 0);
  EXPECT_THAT(error_of([&] { hosts().cordon(cordon_request("localhost", "why")); }).text,
              HasSubstr("this coordinator has no hostfile"));
}

TEST_F(Hosts, ADamagedTableKeepsNoCoordinatorFromStarting) {
  hosts().cordon(cordon_request("node2", "a new disk"));
  // A row that no program of ours wrote.
  Database(folder_.path() / "test.sqlite3").execute("UPDATE host_cordons SET cause = 'HUMBUG', since = -1");
  restart();
  EXPECT_EQ(host("node2").state(), v1::HOST_STATE_CORDONED);
}

}  // namespace host_calls_test
}  // namespace equipoise::coordinator
