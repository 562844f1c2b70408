//! A report as JUnit's XML: a test case a finding, failed where it keeps others waiting.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::annotations::{is_fault, message, unique};
use super::findings::{Finding, Report};
use super::phrases::duration;
use super::phrases::stack;
use super::state::State;

/// Sets a report in XML. A report without findings has one test, passed; one of a program of which no call was seen has an error.
pub fn junit(report: &Report) -> String {
    let mut suite = TestSuite::new("greenpatch audit");
    suite.set_time(Duration::from_secs_f64(report.duration_s));
    if report.saw_nothing() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("no call that may wait was seen at all: that is no clean bill");
        suite.add_test_case(TestCase::new("calls are seen", status));
    } else if report.findings.is_empty() {
        let name = format!("nothing waits for {} or longer", duration(report.threshold_s));
        suite.add_test_case(TestCase::new(name, TestCaseStatus::success()));
    }
    for finding in unique(report) {
        suite.add_test_case(case(finding));
    }
    let mut document = Document::new(&*report.command);
    document.add_test_suite(suite);
    let xml = document.to_string().unwrap_or_default();
    if xml.ends_with('\n') {
        xml
    } else {
        xml + "\n"
    }
}

fn case(finding: &Finding) -> TestCase {
    let skipped = match &finding.state {
        State::New => None,
        State::Known => Some("known".to_owned()),
        State::Suppressed(reason) => Some(format!("suppressed: {reason}")),
    };
    let status = if let Some(why) = skipped {
        let mut status = TestCaseStatus::skipped();
        status.set_message(why);
        status
    } else if is_fault(finding.verdict) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_message(message(finding))
            .set_type(finding.verdict)
            .set_description(stack(&finding.worst, &finding.stack).join("\n"));
        status
    } else {
        TestCaseStatus::success()
    };
    let mut case = TestCase::new(format!("{} {} {}", finding.verdict, finding.call, finding.id), status);
    case.set_classname(&*finding.library.soname).set_time(Duration::from_secs_f64(finding.worst_s));
    case
}
