"""What jobs leave behind for people: test reports. Reads strangers' files, so everything here is bounded."""
