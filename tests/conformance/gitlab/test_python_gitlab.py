import base64
import io
import tarfile

import gitlab
import pytest
from gitlab.exceptions import GitlabAuthenticationError, GitlabError, GitlabHttpError


def project_of(gl, path="demo/hello", **options):
    group, _, name = path.partition("/")
    found = [g for g in gl.groups.list(search=group, get_all=True) if g.path == group]
    namespace = found[0] if found else gl.groups.create({"name": group, "path": group})
    return gl.projects.create({"name": name, "namespace_id": namespace.id, **options})


def filled(gl, path="demo/hello", **options):
    project = project_of(gl, path, **options)
    project.files.create({"file_path": "README.md", "branch": "main", "content": "Hello\n", "commit_message": "First"})
    return project


def refusal(act):
    with pytest.raises(GitlabError) as caught:
        act()
    return caught.value


# who


def test_auth_and_version(gl) -> None:
    gl.auth()
    assert gl.user.username == "root"
    assert gl.user.is_admin is True
    assert gl.version()[0].startswith("17.")
    assert gl.http_get("/metadata")["enterprise"] is False


def test_a_wrong_token_is_refused(house) -> None:
    with pytest.raises(GitlabAuthenticationError, match="401 Unauthorized"):
        house.client("wrong-token").auth()


def test_bearer_and_job_tokens_and_passwords_authenticate(house) -> None:
    gl = gitlab.Gitlab(house.address, oauth_token="a-token-of-roots", keep_base_url=True)
    gl.auth()
    gl = gitlab.Gitlab(house.address, http_username="root", http_password="roots-password")
    assert gl.http_get("/user")["username"] == "root"


def test_an_administrator_manages_users(gl, house) -> None:
    ada = gl.users.create({"username": "ada", "name": "Ada", "email": "ada@example.com", "password": "ada-ada-ada"})
    assert ada.state == "active"
    assert [user.username for user in gl.users.list(username="ADA")] == ["ada"]
    assert [user.username for user in gl.users.list(search="ad", get_all=True)] == ["ada", "root"]
    ada.name = "Ada Lovelace"
    ada.save()
    assert gl.users.get(ada.id).name == "Ada Lovelace"
    ada.block()
    assert gl.users.get(ada.id).state == "blocked"
    ada.unblock()
    gl.users.delete(ada.id)
    assert refusal(lambda: gl.users.get(ada.id)).response_code == 404


def test_bad_users_are_refused_by_name(gl) -> None:
    good = {"username": "ada", "name": "Ada", "email": "ada@example.com", "password": "ada-ada-ada"}
    assert "username is missing" in str(refusal(lambda: gl.users.create({**good, "username": None})))
    assert "username" in str(refusal(lambda: gl.users.create({**good, "username": "-x"})))
    assert "password" in str(refusal(lambda: gl.users.create({**good, "password": "short"})))
    assert refusal(lambda: gl.users.create({**good, "external": True})).response_code == 501
    gl.users.create(good)
    assert refusal(lambda: gl.users.create(good)).response_code == 409


def test_an_ordinary_user_cannot_make_users(house) -> None:
    ada = house.user("ada")
    assert (
        refusal(
            lambda: ada.users.create(
                {"username": "bob", "name": "Bob", "email": "b@example.com", "password": "bob-bob-bob"}
            )
        ).response_code
        == 403
    )


def test_tokens_are_made_shown_once_rotated_and_revoked(gl, house) -> None:
    ada = house.user("ada")
    made = gl.users.get(ada.user.id).personal_access_tokens.create(
        {"name": "ci", "scopes": ["read_api"], "expires_at": "2026-02-01"}
    )
    assert made.token.startswith("rpat-")
    assert made.expires_at == "2026-02-01"
    assert "token" not in ada.personal_access_tokens.get(made.id).attributes
    client = house.client(made.token)
    client.auth()
    assert refusal(lambda: client.groups.create({"name": "x", "path": "x"})).response_code == 403
    rotated = gl.personal_access_tokens.get(made.id)
    rotated.rotate()
    assert refusal(client.auth).response_code == 401
    assert house.client(rotated.token).http_get("/user")["username"] == "ada"
    ada.personal_access_tokens.delete("self")
    assert refusal(ada.auth).response_code == 401


def test_a_user_sees_only_their_own_tokens(gl, house) -> None:
    ada = house.user("ada")
    assert [token.user_id for token in ada.personal_access_tokens.list(get_all=True)] == [ada.user.id]
    own = gl.personal_access_tokens.list(user_id=1, get_all=True)[0]
    assert refusal(lambda: ada.personal_access_tokens.get(own.id)).response_code == 404


# groups and projects


def test_groups_are_made_changed_listed_and_deleted(gl) -> None:
    group = gl.groups.create({"name": "Demo", "path": "demo"})
    group.description = "For show"
    group.save()
    assert gl.groups.get("demo").description == "For show"
    project_of(gl)
    assert [p.path_with_namespace for p in gl.groups.get(group.id).projects.list(get_all=True)] == ["demo/hello"]
    assert "already been taken" in str(refusal(lambda: gl.groups.create({"name": "Demo", "path": "Demo"})))
    assert refusal(lambda: gl.groups.create({"name": "x", "path": "x", "parent_id": 1})).response_code == 501
    group.delete()
    assert gl.projects.list(get_all=True) == []
    assert refusal(lambda: gl.groups.get("demo")).response_code == 404


def test_a_project_is_found_by_id_and_by_path(gl) -> None:
    project = project_of(gl, description="A test")
    for reference in (project.id, "demo/hello", "Demo/HELLO"):
        found = gl.projects.get(reference)
        assert found.path_with_namespace == "demo/hello"
    assert found.http_url_to_repo == "http://riad.test/demo/hello.git"
    assert found.visibility == "private"
    assert found.empty_repo is True
    assert found.namespace["kind"] == "group"
    assert found.created_at == "2026-01-02T03:04:05.678Z"


def test_a_project_without_namespace_is_the_users_own(house) -> None:
    ada = house.user("ada")
    project = ada.projects.create({"name": "My Tool"})
    assert project.path_with_namespace == "ada/my-tool"
    assert project.owner["username"] == "ada"
    assert [p.id for p in ada.users.get(ada.user.id).projects.list(get_all=True)] == [project.id]


def test_projects_are_changed_archived_and_deleted(gl) -> None:
    project = filled(gl)
    project.visibility = "public"
    project.description = "New"
    project.save()
    project.branches.create({"branch": "trunk", "ref": "main"})
    project.default_branch = "trunk"
    project.save()
    found = gl.projects.get(project.id)
    assert (found.visibility, found.description, found.default_branch) == ("public", "New", "trunk")
    project.archive()
    assert refusal(lambda: project.branches.create({"branch": "x", "ref": "main"})).response_code == 403
    project.unarchive()
    project.delete()
    assert refusal(lambda: gl.projects.get(project.id)).response_code == 404


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "x", "path": "a b"}, "path"),
        ({"name": "x", "visibility": "secret"}, "visibility does not have a valid value"),
        ({"name": "x", "import_url": "http://elsewhere/x.git"}, "import_url is not supported"),
        ({"description": "nothing"}, "name, path are missing"),
        ({"name": "x", "namespace_id": 4711}, "namespace"),
    ],
)
def test_bad_projects_are_refused_by_name(gl, options, said) -> None:
    assert said in str(refusal(lambda: gl.projects.create(options)))


def test_a_taken_path_says_so(gl) -> None:
    project_of(gl)
    error = refusal(lambda: project_of(gl))
    assert error.response_code == 400
    assert "has already been taken" in str(error)


def test_lists_come_in_pages_by_number_and_by_key(gl) -> None:
    names = [f"p{number:02}" for number in range(5)]
    for name in names:
        gl.projects.create({"name": name})
    first = gl.projects.list(per_page=2, page=1, order_by="name", sort="asc", get_all=False)
    assert [project.name for project in first] == names[:2]
    every = gl.projects.list(per_page=2, order_by="name", sort="asc", iterator=True)
    assert (every.total, every.total_pages) == (5, 3)
    assert [project.name for project in every] == names
    by_key = gl.projects.list(per_page=2, pagination="keyset", order_by="id", sort="asc", iterator=True)
    assert [project.name for project in by_key] == names
    back = gl.projects.list(per_page=2, pagination="keyset", order_by="id", sort="desc", get_all=True)
    assert [project.name for project in back] == names[::-1]


def test_a_stranger_sees_what_is_public_and_nothing_else(gl, house) -> None:
    hidden, shown = filled(gl), filled(gl, "demo/open", visibility="public")
    eve, nobody = house.user("eve"), house.client(None)
    assert refusal(lambda: eve.projects.get(hidden.id)).error_message == "404 Project Not Found"
    assert refusal(lambda: eve.projects.get(4711)).error_message == "404 Project Not Found"
    assert [p.id for p in eve.projects.list(get_all=True)] == [shown.id]
    assert [p.id for p in nobody.projects.list(get_all=True)] == [shown.id]
    assert nobody.projects.get(shown.id).files.get("README.md", "main").decode() == b"Hello\n"
    assert refusal(lambda: nobody.projects.create({"name": "x"})).response_code == 401
    assert refusal(lambda: eve.projects.get(shown.id).delete()).response_code == 403


def test_members_are_added_changed_and_removed(gl, house) -> None:
    project, ada = project_of(gl), house.user("ada")
    project.members.create({"user_id": ada.user.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
    assert ada.projects.get("demo/hello").permissions["project_access"]["access_level"] == 30
    assert refusal(lambda: project.members.create({"user_id": ada.user.id, "access_level": 30})).response_code == 409
    assert (
        refusal(lambda: ada.projects.get(project.id).members.create({"user_id": 1, "access_level": 30})).response_code
        == 403
    )
    member = project.members.get(ada.user.id)
    member.access_level = 40
    member.save()
    assert {m.username for m in project.members_all.list(get_all=True)} == {"root", "ada"}
    owner = {"user_id": 1, "access_level": 50}
    assert refusal(lambda: ada.projects.get(project.id).members.create(owner)).response_code == 403
    project.members.delete(ada.user.id)
    assert refusal(lambda: ada.projects.get(project.id)).response_code == 404


def test_the_last_owner_of_a_group_stays(gl, house) -> None:
    ada = house.user("ada")
    group = ada.groups.create({"name": "own", "path": "own"})
    assert refusal(lambda: group.members.delete(ada.user.id)).response_code == 409


# repositories


def test_files_are_made_read_changed_and_deleted(gl) -> None:
    project = filled(gl)
    file = project.files.get("README.md", "main")
    assert (file.decode(), file.size, file.execute_filemode) == (b"Hello\n", 6, False)
    file.content = "Hello again\n"
    file.save(branch="main", commit_message="Second")
    assert project.files.raw("README.md", "main") == b"Hello again\n"
    binary = {"file_path": "a/b c.bin", "branch": "main", "commit_message": "Binary", "encoding": "base64"}
    project.files.create({**binary, "content": base64.b64encode(bytes(range(256))).decode()})
    assert project.files.raw("a/b c.bin", "main") == bytes(range(256))
    project.files.delete("README.md", branch="main", commit_message="Third")
    assert refusal(lambda: project.files.get("README.md", "main")).error_message == "404 File Not Found"
    assert project.files.head("a/b c.bin", "main")["X-Gitlab-Size"] == "256"


def test_a_file_that_moved_on_is_not_overwritten(gl) -> None:
    project = filled(gl)
    old = project.files.get("README.md", "main")
    seen = old.last_commit_id
    old.content = "Other\n"
    old.save(branch="main", commit_message="Other")
    old.content = "Mine\n"
    error = refusal(lambda: old.save(branch="main", commit_message="Mine", last_commit_id=seen))
    assert "has changed since you started editing it" in str(error)


def test_a_commit_of_several_actions(gl) -> None:
    project = filled(gl)
    commit = project.commits.create(
        {
            "branch": "topic/new",
            "start_branch": "main",
            "commit_message": "Several\n\nWith a body",
            "author_name": "Grace",
            "author_email": "grace@example.com",
            "actions": [
                {"action": "create", "file_path": "run.sh", "content": "true\n", "execute_filemode": True},
                {"action": "move", "file_path": "docs/README.md", "previous_path": "README.md"},
            ],
        }
    )
    assert (commit.title, commit.author_name) == ("Several", "Grace")
    assert commit.stats == {"additions": 1, "deletions": 0, "total": 1}
    entries = {e["path"]: e["mode"] for e in project.repository_tree(ref="topic/new", recursive=True, get_all=True)}
    assert entries == {"docs": "040000", "docs/README.md": "100644", "run.sh": "100755"}
    changed = {(d["old_path"], d["new_path"]): d for d in project.commits.get(commit.id).diff(get_all=True)}
    assert changed["README.md", "docs/README.md"]["renamed_file"] is True
    assert changed["run.sh", "run.sh"]["diff"] == "@@ -0,0 +1 @@\n+true\n"
    assert [ref["name"] for ref in commit.refs("branch")] == ["topic/new"]


@pytest.mark.parametrize("path", ["../x", ".git/config", "a/.GIT/hooks/x", "/abs", "a//b"])
def test_a_path_that_leaves_the_tree_is_refused(gl, path) -> None:
    project = filled(gl)
    action = {"action": "create", "file_path": path, "content": "x"}
    error = refusal(lambda: project.commits.create({"branch": "main", "commit_message": "x", "actions": [action]}))
    assert error.response_code == 400


def test_branches_with_slashes(gl) -> None:
    project = filled(gl)
    project.branches.create({"branch": "feature/a", "ref": "main"})
    branch = project.branches.get("feature/a")
    assert (branch.default, branch.can_push, branch.commit["title"]) == (False, True, "First")
    assert [b.name for b in project.branches.list(search="^feat", get_all=True)] == ["feature/a"]
    assert "already exists" in str(refusal(lambda: project.branches.create({"branch": "feature/a", "ref": "main"})))
    assert "Invalid reference" in str(refusal(lambda: project.branches.create({"branch": "b", "ref": "nope"})))
    branch.delete()
    assert refusal(lambda: project.branches.get("feature/a")).response_code == 404
    assert refusal(lambda: project.branches.delete("main")).response_code == 403


def test_tags_light_and_annotated(gl) -> None:
    project = filled(gl)
    light = project.tags.create({"tag_name": "v1", "ref": "main"})
    heavy = project.tags.create({"tag_name": "v2", "ref": "main", "message": "Second"})
    assert (light.message, light.target) == ("", light.commit["id"])
    assert heavy.message == "Second"
    assert heavy.target != heavy.commit["id"]
    assert {tag.name for tag in project.tags.list(get_all=True)} == {"v1", "v2"}
    project.tags.delete("v1")
    assert refusal(lambda: project.tags.get("v1")).response_code == 404


def test_history_comparison_and_archive(gl) -> None:
    project = filled(gl)
    first = project.commits.get("main")
    assert first.last_pipeline is None
    for number in range(3):
        project.files.create(
            {"file_path": f"{number}.txt", "branch": "main", "content": f"{number}\n", "commit_message": f"n{number}"}
        )
    assert [c.title for c in project.commits.list(get_all=True)] == ["n2", "n1", "n0", "First"]
    assert [c.title for c in project.commits.list(per_page=3, iterator=True)] == ["n2", "n1", "n0", "First"]
    assert [c.title for c in project.commits.list(query_parameters={"path": "1.txt"}, get_all=True)] == ["n1"]
    assert project.commits.list(since="2026-02-01T00:00:00Z", get_all=True) == []
    compared = project.repository_compare(first.id, "main")
    assert [c["title"] for c in compared["commits"]] == ["n0", "n1", "n2"]
    assert len(compared["diffs"]) == 3
    assert project.repository_merge_base([first.id, "main"])["id"] == first.id
    with tarfile.open(fileobj=io.BytesIO(project.repository_archive())) as tar:
        assert any(name.endswith("/README.md") for name in tar.getnames())


def test_blobs_by_their_sha(gl) -> None:
    project = filled(gl)
    sha = project.repository_tree(get_all=True)[0]["id"]
    assert project.repository_raw_blob(sha) == b"Hello\n"
    assert base64.b64decode(project.repository_blob(sha)["content"]) == b"Hello\n"


def test_what_nobody_knows_is_a_404_in_gitlabs_shape(gl) -> None:
    with pytest.raises(GitlabHttpError, match="404 Not Found"):
        gl.http_get("/nothing/like/this")
