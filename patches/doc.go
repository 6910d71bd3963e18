// Package patches holds the series that hooks this project into op-geth, and the tests of
// the series and of the scripts in build/ that apply, export and replay it.
package patches
