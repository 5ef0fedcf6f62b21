BEGIN TRANSACTION;
CREATE TABLE blob_place (
        digest TEXT NOT NULL,
        repository TEXT NOT NULL,
        PRIMARY KEY (digest, repository)
    ) WITHOUT ROWID;
CREATE TABLE build_step (
        key TEXT PRIMARY KEY, layer TEXT, size INTEGER NOT NULL, description TEXT NOT NULL,
        created TEXT NOT NULL, used_at TEXT NOT NULL, uses INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
CREATE TABLE container (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL, image_id TEXT NOT NULL,
        settings TEXT NOT NULL, layers TEXT NOT NULL, mounts TEXT NOT NULL, phase TEXT NOT NULL, run TEXT NOT NULL,
        restart_count INTEGER NOT NULL, stopped_by_user INTEGER NOT NULL);
INSERT INTO "container" VALUES('cc62f09de5e1f251cab439268a28366a8d3895f47137dcbe6cd61e85d548779c','rests','2026-11-22T22:10:11.925467+00:00','sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1','{"image":"base:1","config":{"exposed_ports":["80/tcp"],"env":["A=b"],"cmd":["sh","-c","echo $A; exit 3"]},"host":{"binds":["kept:/kept"],"network_mode":"own","ports":[{"container_port":80,"host_ip":"127.0.0.1","host_port":@PORT2@}],"resources":{"memory":67108864}},"hostname":"cc62f09de5e1","attach_stdout":true,"attach_stderr":true,"networks":{"own":{"aliases":["alias"]}}}','["sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429"]','[{"kind":"volume","target":"/kept","source":"@DATA@/volumes/kept/_data","volume":"kept","driver":"local"}]','created','{}',0,0);
INSERT INTO "container" VALUES('ddd9a5f4c7996aeda0711f3dcdafdcd8beae4c951255459f1fe66111c1e85aef','lasts','2026-11-22T22:10:11.940959+00:00','sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1','{"image":"base:1","config":{"exposed_ports":["80/tcp"],"cmd":["sleep","1000"]},"host":{"ports":[{"container_port":80,"host_ip":"127.0.0.1","host_port":@PORT1@}],"restart":{"name":"always"}},"hostname":"ddd9a5f4c799","networks":{"bridge":{}}}','["sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429"]','[]','running','{"pid":15019,"conmon_pid":15008,"conmon_ticks":1498127,"started_at":"2026-11-22T22:10:12.010852+00:00"}',0,0);
INSERT INTO "container" VALUES('ff4f317febd543336cc830ee1870398b90ae75ec2ae3f85a19abc0e948c6bd2a','ends','2026-11-22T22:10:12.030907+00:00','sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1','{"image":"base:1","config":{"cmd":["sleep","1000"]},"hostname":"ff4f317febd5","networks":{"bridge":{}}}','["sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429"]','[]','running','{"pid":15050,"conmon_pid":15039,"conmon_ticks":1498136,"started_at":"2026-11-22T22:10:12.091198+00:00"}',0,0);
INSERT INTO "container" VALUES('d7721c670ef66a7b116eb65cb52f1df4f024f95d59a9ab6f5d46eeea7418d645','ended','2026-11-22T22:10:12.108641+00:00','sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1','{"image":"base:1","config":{"cmd":["sh","-c","exit 5"]},"hostname":"d7721c670ef6","attach_stdout":true,"attach_stderr":true,"networks":{"bridge":{}}}','["sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429"]','[]','exited','{"started_at":"2026-11-22T22:10:12.171137+00:00","finished_at":"2026-11-22T22:10:12.171556+00:00","exit_code":5}',0,0);
CREATE TABLE engine_boot (boot_id TEXT NOT NULL);
INSERT INTO "engine_boot" VALUES('8c1b25c8-daf6-4a87-9e01-285d4e824c19');
CREATE TABLE image (
        id TEXT PRIMARY KEY,
        config BLOB NOT NULL,
        size INTEGER NOT NULL,
        added_at TEXT NOT NULL,
        tagged_at TEXT,
        parent TEXT,
        removed INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "image" VALUES('sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1',X'7B22617263686974656374757265223A22616D643634222C22636F6D6D656E74223A22496D706F727465642066726F6D202D222C22636F6E666967223A7B22436D64223A6E756C6C2C22456E747279706F696E74223A6E756C6C2C22456E76223A6E756C6C7D2C2263726561746564223A22323032362D31312D32325432323A31303A31312E3837363837385A222C22686973746F7279223A5B7B22636F6D6D656E74223A22496D706F727465642066726F6D202D222C2263726561746564223A22323032362D31312D32325432323A31303A31312E3837363837385A227D5D2C226F73223A226C696E7578222C22726F6F746673223A7B22646966665F696473223A5B227368613235363A36373738666135363861336239343737336166373539613037343163616364326565393030656438663833373363353439363861363766623665663736343239225D2C2274797065223A226C6179657273227D7D',12150961,'2026-11-22T22:10:11.877197+00:00','2026-11-22T22:10:12.217696+00:00',NULL,0);
CREATE TABLE image_digest (
        repository TEXT NOT NULL,
        digest TEXT NOT NULL,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        PRIMARY KEY (repository, digest)
    ) WITHOUT ROWID;
CREATE TABLE image_layer (
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        diff_id TEXT NOT NULL REFERENCES layer (diff_id),
        PRIMARY KEY (image, position)
    ) WITHOUT ROWID;
INSERT INTO "image_layer" VALUES('sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1',0,'sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429');
CREATE TABLE image_manifest (
        digest TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        media_type TEXT NOT NULL,
        body BLOB NOT NULL
    );
CREATE TABLE image_tag (
        reference TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE
    ) WITHOUT ROWID;
INSERT INTO "image_tag" VALUES('docker.io/library/base:1','sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1');
INSERT INTO "image_tag" VALUES('docker.io/library/other:2','sha256:13014cf6add2bfff6a3b68a085cb81609072c28575d14d93923cc84e60f932e1');
CREATE TABLE layer (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        diff_id TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        tar_size INTEGER NOT NULL,
        ours INTEGER NOT NULL
    );
INSERT INTO "layer" VALUES(1,'sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429',12150961,12208640,1);
CREATE TABLE layer_blob (
        diff_id TEXT NOT NULL REFERENCES layer (diff_id) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (diff_id, digest)
    ) WITHOUT ROWID;
CREATE TABLE layer_hold (
        owner TEXT NOT NULL,
        diff_id TEXT NOT NULL REFERENCES layer (diff_id),
        PRIMARY KEY (owner, diff_id)
    ) WITHOUT ROWID;
INSERT INTO "layer_hold" VALUES('container:cc62f09de5e1f251cab439268a28366a8d3895f47137dcbe6cd61e85d548779c','sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429');
INSERT INTO "layer_hold" VALUES('container:d7721c670ef66a7b116eb65cb52f1df4f024f95d59a9ab6f5d46eeea7418d645','sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429');
INSERT INTO "layer_hold" VALUES('container:ddd9a5f4c7996aeda0711f3dcdafdcd8beae4c951255459f1fe66111c1e85aef','sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429');
INSERT INTO "layer_hold" VALUES('container:ff4f317febd543336cc830ee1870398b90ae75ec2ae3f85a19abc0e948c6bd2a','sha256:6778fa568a3b94773af759a0741cacd2ee900ed8f8373c54968a67fb6ef76429');
CREATE TABLE network (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, created TEXT NOT NULL,
        bridge TEXT NOT NULL, document TEXT NOT NULL
    );
INSERT INTO "network" VALUES('6c3da6904f691e1dab546c6a29a435bc3e31665c3f793e6edf8af09b66f51a46','host','host','2026-11-22T22:10:11.482160Z','','{"pool": null, "mtu": 1500, "internal": false, "attachable": false, "masquerade": true, "between_containers": true, "host_binding": "0.0.0.0", "labels": {}, "options": {}, "ipam_options": {}}');
INSERT INTO "network" VALUES('17811bfee5ac888df551dea092d6638d676b76ca1ee8f61872d025fe2ec0dbab','none','null','2026-11-22T22:10:11.482358Z','','{"pool": null, "mtu": 1500, "internal": false, "attachable": false, "masquerade": true, "between_containers": true, "host_binding": "0.0.0.0", "labels": {}, "options": {}, "ipam_options": {}}');
INSERT INTO "network" VALUES('8ae912ff9a1dfaa33272dddd70a48635823c040c9c7fbd4d5e7743e62be2cfe3','bridge','bridge','2026-11-22T22:10:11.482398Z','riad-f25163e0','{"pool": {"subnet": "172.20.14.0/24", "gateway": "172.20.14.1", "range": null, "reserved": {}, "by_user": false}, "mtu": 1400, "internal": false, "attachable": false, "masquerade": true, "between_containers": true, "host_binding": "0.0.0.0", "labels": {}, "options": {}, "ipam_options": {}}');
INSERT INTO "network" VALUES('4da7be4905f097f1ecc430c924c0a293eea26d30978d555dd0e92d71bd954a45','own','bridge','2026-11-22T22:10:11.893861Z','br-4da7be4905f0','{"pool": {"subnet": "10.231.99.0/24", "gateway": "10.231.99.1", "range": null, "reserved": {}, "by_user": true}, "mtu": 1400, "internal": false, "attachable": false, "masquerade": true, "between_containers": true, "host_binding": "0.0.0.0", "labels": {"a": "b"}, "options": {}, "ipam_options": {}}');
CREATE TABLE network_endpoint (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        network_id TEXT NOT NULL REFERENCES network (id),
        container_id TEXT NOT NULL REFERENCES network_sandbox (container_id) ON DELETE CASCADE,
        address TEXT NOT NULL, mac TEXT NOT NULL, guest_link TEXT NOT NULL, aliases TEXT NOT NULL,
        UNIQUE (network_id, address), UNIQUE (network_id, container_id)
    );
INSERT INTO "network_endpoint" VALUES(1,'2990ef492218b899e5287602cdcaab2fe709ae96970d7a934fff114e22fe8cfe','8ae912ff9a1dfaa33272dddd70a48635823c040c9c7fbd4d5e7743e62be2cfe3','ddd9a5f4c7996aeda0711f3dcdafdcd8beae4c951255459f1fe66111c1e85aef','172.20.14.2','02:42:ac:14:0e:02','eth0','[]');
INSERT INTO "network_endpoint" VALUES(2,'b2dd9b1c3c4f74e91d5786554de76f0a42da71ddcfff9156ed22084826e0ebf0','8ae912ff9a1dfaa33272dddd70a48635823c040c9c7fbd4d5e7743e62be2cfe3','ff4f317febd543336cc830ee1870398b90ae75ec2ae3f85a19abc0e948c6bd2a','172.20.14.3','02:42:ac:14:0e:03','eth0','[]');
CREATE TABLE network_port (
        container_id TEXT NOT NULL REFERENCES network_sandbox (container_id) ON DELETE CASCADE,
        proto TEXT NOT NULL, host_ip TEXT NOT NULL, host_port INTEGER NOT NULL, container_port INTEGER NOT NULL,
        UNIQUE (proto, host_ip, host_port)
    );
INSERT INTO "network_port" VALUES('ddd9a5f4c7996aeda0711f3dcdafdcd8beae4c951255459f1fe66111c1e85aef','tcp','127.0.0.1',@PORT1@,80);
CREATE TABLE network_sandbox (
        container_id TEXT PRIMARY KEY, name TEXT NOT NULL, hostname TEXT NOT NULL, domain TEXT NOT NULL,
        on_host INTEGER NOT NULL, names TEXT NOT NULL
    );
INSERT INTO "network_sandbox" VALUES('ddd9a5f4c7996aeda0711f3dcdafdcd8beae4c951255459f1fe66111c1e85aef','lasts','ddd9a5f4c799','',0,'{"servers": [], "search": [], "options": [], "hosts": []}');
INSERT INTO "network_sandbox" VALUES('ff4f317febd543336cc830ee1870398b90ae75ec2ae3f85a19abc0e948c6bd2a','ends','ff4f317febd5','',0,'{"servers": [], "search": [], "options": [], "hosts": []}');
CREATE TABLE schema_step (part TEXT PRIMARY KEY, steps INTEGER NOT NULL);
INSERT INTO "schema_step" VALUES('containers',2);
INSERT INTO "schema_step" VALUES('images',1);
INSERT INTO "schema_step" VALUES('volumes',1);
INSERT INTO "schema_step" VALUES('networks',1);
INSERT INTO "schema_step" VALUES('build',1);
CREATE TABLE volume (name TEXT PRIMARY KEY, created_at TEXT NOT NULL, labels TEXT NOT NULL);
INSERT INTO "volume" VALUES('kept','2026-11-22T22:10:11.912407+00:00','{"c": "d"}');
CREATE INDEX image_parent ON image (parent);
CREATE INDEX image_layer_diff_id ON image_layer (diff_id);
CREATE INDEX image_tag_image ON image_tag (image);
CREATE INDEX image_digest_image ON image_digest (image);
CREATE INDEX image_manifest_image ON image_manifest (image);
CREATE INDEX build_step_used_at ON build_step (used_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('layer',1);
INSERT INTO "sqlite_sequence" VALUES('network_endpoint',3);
COMMIT;
