#!/bin/sh
# Announces a step of 'make test', with the time, so that a log shows where it is spent.
echo "== $(date -u +%H:%M:%S) $*"
